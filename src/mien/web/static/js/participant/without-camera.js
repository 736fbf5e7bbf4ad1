// In place of a camera and its socket, where a study is gone through without: in an operator's preview, and by who wants none.

export class NoCamera extends EventTarget {
  on = false;
  place() {}
  look() {}
  rest() {}
  close() {}
  async open() {}
}

/** Stands for a socket over which nothing goes. */
export class NoSocket extends EventTarget {
  link = "open";
  unanswered = 0;
  lost = 0;
  open() {}
  close() {}
  give() {}
  async settled() {}
}
