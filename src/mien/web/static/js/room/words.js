// What the page says of a room: who is seen, whether light and distance will do, and states beside those of the live page.

import { several } from "/static/mien/format.js";
import { STATES } from "../capture/states.js";

const SMALL_PX = 40; // faces narrower than this in the picture that is sent are read badly; see docs/start.md

/** How many faces of an answer are too small to be read well. */
export function small(answer) {
  return answer.faces.filter(({ box }) => box[2] - box[0] < SMALL_PX).length;
}

/** {words, warn}: what is best done about the picture. */
export function hint(answer) {
  if (answer.dark) return { words: "It is too dark: light the faces a little, from the front.", warn: true };
  const n = answer.faces.length, few = small(answer);
  if (!n) return { words: "Nobody is found: turn the camera to the faces.", warn: true };
  if (few === n) return { words: `${n === 1 ? "The face is" : "All faces are"} small: move the camera closer, or zoom in.`, warn: true };
  if (few) return { words: `${several(few, "face is", "faces are")} small: move the camera closer.`, warn: true };
  return { words: "Light and size are good.", warn: false };
}

export const seenNow = (n) => (n === 1 ? "person seen now" : "people seen now");

/** What is known of a room that is ready, as [[number, words]]. */
export function facts(room) {
  return [
    [room.people, room.people === 1 ? "viewer" : "viewers"],
    [room.together, "seen at once, at most"],
    [room.left_out, room.left_out === 1 ? "face left out" : "faces left out"],
  ];
}

export const LEFT_OUT = "Faces seen in fewer than one look in ten are left out: somebody who walked past, or a face that was found by chance.";

Object.assign(STATES, {
  "room-failed": { kind: "bad", title: "The room could not be told to the server", text: ({ words }) => `${words} The recording goes on; it is tried again.` },
  "clock-late": { kind: "warn", title: "The film's clock is not saved yet", text: "It is kept on this page and sent once the server answers. Leave the page open." },
  "no-mark": { kind: "warn", title: "The film's start is not marked", text: "Mark it while you record, or say below at which second it starts. Until then this room counts for nothing." },
  "screen-gone": { kind: "warn", title: "The film's window is gone", text: "Nothing counts as film from then on. Open it again and play on." },
  "screen-refused": { kind: "warn", title: "The film's window does not start by itself", text: "Browsers want one press there first: press Play or Full screen in that window." },
  "screen-other": { kind: "warn", title: "Another film plays in the film's window", text: "Its clock is not taken. Open the window again from here." },
  "lost-room": { kind: "warn", title: "The recording was closed meanwhile", text: "The server waited for this page, then saved what it had; the room is made of that." },
  "room-taking": { kind: "", title: "Taking it in", text: "Who was seen is counted; the recording is erased then.", busy: true },
  "room-ready": { kind: "good", title: "The room is in the study", text: ({ room }) => `${several(room.people, "viewer")}, ${room.together} seen at once at most.`, actions: [["Report", "report"]] },
  "room-not-ready": { kind: "bad", title: "The room could not be taken in", text: ({ words }) => words },
});
