// Calls to the server's API, and the events that it pushes.

export class ApiError extends Error {
  constructor(status, code, message, detail = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/** The error of an answer that is none of 2xx; `text` is its body. */
export function errorOf(status, text) {
  let error = null;
  try {
    error = JSON.parse(text).error;
  } catch {
    // not ours: a proxy's page, or nothing at all
  }
  return new ApiError(status, error?.code ?? "http", error?.message ?? `The server answered with ${status}.`, error?.detail ?? null);
}

/** The answer's JSON (null where it has none). `body` is an object (sent as JSON) or FormData. Throws ApiError; status 0: no server. */
export async function api(method, path, body) {
  const form = body instanceof FormData;
  let answer, text;
  try {
    answer = await fetch(path, {
      method,
      headers: {
        Accept: "application/json",
        ...(body === undefined || form ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? undefined : form ? body : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
    });
    text = await answer.text();
  } catch {
    throw new ApiError(0, "gone", "The server cannot be reached. Is mien still running?");
  }
  if (!answer.ok) {
    if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw errorOf(answer.status, text);
  }
  return text ? JSON.parse(text) : null;
}

/**
 * Uploads a form with progress. Returns {done, stop}: `done` is a promise of the answer's JSON, `stop()` ends the upload, and `done` is
 * then rejected with the code "stopped". `progress(sent, total)` in bytes.
 */
export function upload(path, form, progress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("POST", path);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => progress(event.loaded, event.lengthComputable ? event.total : null));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(errorOf(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(new ApiError(0, "gone", "The connection to the server broke. Is mien still running?")));
    request.addEventListener("abort", () => reject(new ApiError(0, "stopped", "Stopped.")));
    request.send(form);
  });
  return { done, stop: () => request.abort() };
}

/**
 * Listens to what the server pushes about analyses. `handlers`: job(job), removed(id), gone() once when the server goes away, back()
 * when it is there again, or the page is looked at again (what happened meanwhile may have been missed: read again). Returns a function
 * that stops listening.
 */
export function events(handlers) {
  let source = null, timer, gone = false, missed = false;
  function open() {
    source = new EventSource("/api/jobs/events");
    source.addEventListener("open", () => {
      if (gone || missed) handlers.back?.();
      gone = missed = false;
    });
    source.addEventListener("job", (event) => handlers.job?.(JSON.parse(event.data)));
    source.addEventListener("removed", (event) => handlers.removed?.(JSON.parse(event.data).id));
    source.addEventListener("error", () => {
      if (!source) return;
      if (!gone) handlers.gone?.();
      gone = true;
      // A browser gives up for ever after an answer that is no stream (a proxy's error page); so it is opened anew here.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, 2000);
    });
  }
  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }
  // A browser has six connections to a server for all its pages together: pages that nobody looks at must not hold them.
  function seen() {
    if (document.hidden) {
      close();
      missed = true;
    } else if (!source) open();
  }
  open();
  document.addEventListener("visibilitychange", seen);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  return () => {
    document.removeEventListener("visibilitychange", seen);
    close();
  };
}
