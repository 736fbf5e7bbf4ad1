// Numbers as people read them; the same forms as the report has.

/** A moment in a film of `scale` seconds: "12.4 s", or "4:05" and "1:02:09" from two minutes on. */
export function clock(seconds, scale = seconds, decimals = 1) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (scale < 120) return `${seconds.toFixed(decimals)} s`;
  const whole = Math.round(Math.max(seconds, 0));
  const rest = String(whole % 60).padStart(2, "0"), minutes = Math.floor(whole / 60) % 60, hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** A moment told from its neighbours: "12.44 s", "4:05.24". */
export function moment(seconds, scale) {
  if (scale < 120) return clock(seconds, scale, 2);
  const hundredths = Math.round(seconds * 100);
  return `${clock(Math.floor(hundredths / 100), scale)}.${String(hundredths % 100).padStart(2, "0")}`;
}

/** "0.4–5.1 s" or "4:05–4:11". */
export function span(start, end, scale) {
  const a = clock(start, scale), b = clock(end, scale);
  return a === b ? a : `${a.replace(/ s$/, "")}–${b}`;
}

/** A length: "19.6 s", "2.5 min", "47 min", "1 h 20 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  if (seconds < 600) return `${(seconds / 60).toFixed(1)} min`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A guess at a time to wait, no more exact than it is: "a moment", "about 20 s", "about 4 min". */
export function wait(seconds) {
  if (seconds < 3) return "a moment";
  if (seconds < 55) return `about ${seconds < 10 ? Math.round(seconds) : Math.round(seconds / 5) * 5} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `about ${Math.max(minutes, 1)} min`;
  const hours = seconds / 3600;
  return `about ${hours < 10 ? hours.toFixed(1).replace(/\.0$/, "") : Math.round(hours)} h`;
}

/** "840 B", "12.4 kB", "3.1 MB", "1.20 GB". */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000, unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** "0%", "under 1%", "43%". */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share > 0 && share < 0.005) return "under 1%";
  return `${Math.round(share * 100)}%`;
}

/** 12 345 with a thin gap, as the report has it. */
export const count = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** "3 faces", "1 face". */
export const several = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A date and time of the reader's own clock: "today, 14:20", "yesterday, 09:05", "21 Nov 2026, 14:20". */
export function when(iso) {
  if (!iso) return "–";
  const date = new Date(iso), now = new Date();
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  const days = Math.round((day(now) - day(date)) / 86_400_000);
  if (days === 0) return `today, ${time}`;
  if (days === 1) return `yesterday, ${time}`;
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, ${time}`;
}
