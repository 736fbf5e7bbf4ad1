// Files that a person gives: out of a drop, a choice or the clipboard; and how long a film is.

const KNOWN = /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|ts|mts|m2ts|wmv|flv|3gp|ogv|gif|jpe?g|png|webp|bmp|tiff?|avif|heic)$/i;

export const looksLikeMedia = (file) => KNOWN.test(file.name) || /^(image|video)\//.test(file.type);

export const isPicture = (file) => (file.type ? file.type.startsWith("image/") && file.type !== "image/gif" : /\.(jpe?g|png|webp|bmp|tiff?)$/i.test(file.name));

const OTHER = /^(text|audio|font)\/|^image\/svg|^application\/(pdf|zip|json|xml|rtf|msword|gzip|javascript|epub|x-(zip|tar|7z|sh)|vnd\.(openxml|oasis|ms-(excel|powerpoint)))/;

/** Whether it is surely neither picture nor film. What a browser has no word for may be one: the server judges it by its content. */
export const isOther = (file) => OTHER.test(file.type) && !KNOWN.test(file.name);

/**
 * The files of a drop, those in folders too: {files, left}; `left` counts what was found in folders and is no picture or film. What was
 * dropped by itself is taken whatever it is: the server says why it cannot be read.
 */
export async function dropped(transfer) {
  // Both must be asked for before the first await: the browser empties the transfer then.
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const files = [];
  let left = 0;
  async function take(entry, inFolder) {
    if (entry instanceof File) files.push(entry);
    else if (entry?.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      if (!inFolder || looksLikeMedia(file)) files.push(file);
      else left += 1;
    } else if (entry?.isDirectory) {
      const reader = entry.createReader();
      // A reader gives at most a hundred at a time.
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        for (const child of some.sort((a, b) => a.name.localeCompare(b.name))) await take(child, true);
      }
    }
  }
  for (const entry of entries) await take(entry, false);
  return { files, left };
}

/** The files of a chosen folder, as `dropped` gives them. */
export function ofFolder(list) {
  const files = [...list].filter(looksLikeMedia);
  return { files, left: list.length - files.length };
}

/** Seconds of a film, 0 for a picture, null where the browser cannot tell. */
export function length(file) {
  if (isPicture(file)) return Promise.resolve(0);
  return new Promise((resolve) => {
    const video = document.createElement("video");
    const url = URL.createObjectURL(file);
    const done = (seconds) => {
      clearTimeout(timer);
      video.removeAttribute("src");
      video.load();
      URL.revokeObjectURL(url);
      resolve(Number.isFinite(seconds) && seconds > 0 ? seconds : null);
    };
    const timer = setTimeout(() => done(null), 20_000);
    video.preload = "metadata";
    video.muted = true;
    video.addEventListener("loadedmetadata", () => done(video.duration), { once: true });
    video.addEventListener("error", () => done(null), { once: true });
    video.src = url;
  });
}
