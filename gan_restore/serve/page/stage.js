// The photo, before and after: zoom, movement, the line between both, and the pointer that paints.

const MOST = 32;  // screen pixels for each pixel of the photo
const STEP = 1.25;
const NEAR = 24;  // pixels around the line that take hold of it

const $ = (id) => document.getElementById(id);
const limit = (value, low, high) => Math.min(Math.max(value, low), high);

export class Stage {
  /** `paint(from, to)` is called with points of the photo while the pointer paints. */
  constructor(paint) {
    this.element = $("stage");
    this.paint = paint;
    this.brush = 10;  // in pixels of the photo
    this.photo = { width: 1, height: 1 };
    this.size = this.photo;  // of what is shown: the photo, or its enlargement
    this.scale = 1;  // pixels of the page for each pixel of `size`
    this.x = this.y = 0;
    this.fitted = true;
    this.pointers = new Map();
    const on = (type, act, options) => this.element.addEventListener(type, act.bind(this), options);
    on("pointerdown", this.#down);
    on("pointermove", this.#move);
    for (const type of ["pointerup", "pointercancel"]) on(type, this.#up);
    on("pointerleave", () => { $("ring").hidden = true; });
    on("wheel", this.#wheel, { passive: false });
    on("keydown", this.#key);
    $("wipe").addEventListener("input", () => this.cut($("wipe").value / 100));
    $("in").addEventListener("click", () => this.zoom(this.scale * STEP));
    $("out").addEventListener("click", () => this.zoom(this.scale / STEP));
    $("fit").addEventListener("click", () => this.fit());
    $("full").addEventListener("click", () => this.zoom(1 / devicePixelRatio));
    new ResizeObserver(() => (this.fitted ? this.fit() : this.#place())).observe(this.element);
    this.cut(0.5);
  }

  /** Show a photo alone. */
  show(url, width, height) {
    $("before").src = url;
    this.photo = this.size = { width, height };
    this.comparing = false;
    $("above").hidden = true;
    this.#mode();
    this.fit();
  }

  /** Show the restored photo beside it. */
  compare(url, width, height) {
    $("after").src = url;
    this.#resize({ width, height }, true);
  }

  /** Show the photo without the restored one, at the same place. */
  alone() {
    this.#resize(this.photo, false);
  }

  #resize(size, comparing) {
    const factor = size.width / this.size.width;
    Object.assign(this, { size, comparing });
    this.#mode();
    if (this.fitted) this.fit();
    else this.zoom(this.scale / factor, 0, 0);
  }

  set painting(on) {
    this.paints = on;
    this.#mode();
  }

  /** What is visible: while the user paints, the photo before. */
  #mode() {
    const compared = this.comparing && !this.paints;
    for (const part of [$("above"), $("line"), $("wipes"), ...document.querySelectorAll(".tag")]) part.hidden = !compared;
    $("ring").hidden = true;
    $("painted").hidden = !this.paints;
    this.element.classList.toggle("painting", Boolean(this.paints));
    this.#place();
  }

  /** Move the line: 0 is the left edge, 1 the right one. */
  cut(part) {
    this.line = limit(part, 0, 1);
    this.element.style.setProperty("--cut", `${100 * this.line}%`);
    $("wipe").value = Math.round(100 * this.line);
  }

  fit() {
    const { clientWidth, clientHeight } = this.element;
    if (!clientWidth) return;
    this.scale = Math.min(clientWidth / this.size.width, clientHeight / this.size.height, MOST);
    this.fitted = true;
    this.#place();
  }

  /** Zoom so that the point (x, y) of the stage stays where it is; by default its middle. */
  zoom(scale, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const { clientWidth, clientHeight } = this.element;
    const whole = Math.min(clientWidth / this.size.width, clientHeight / this.size.height);
    const next = limit(scale, Math.min(whole, 1 / devicePixelRatio), Math.max(MOST, whole));
    this.x = x - ((x - this.x) * next) / this.scale;
    this.y = y - ((y - this.y) * next) / this.scale;
    this.scale = next;
    this.fitted = false;
    this.#place();
  }

  /** Keep the photo inside the stage, or in its middle if it is smaller, and draw it there. */
  #place() {
    const inside = (at, length, room) => (length <= room ? (room - length) / 2 : limit(at, room - length, 0));
    const { clientWidth, clientHeight } = this.element;
    const width = this.size.width * this.scale, height = this.size.height * this.scale;
    this.x = inside(this.x, width, clientWidth);
    this.y = inside(this.y, height, clientHeight);
    for (const part of [$("before"), $("after"), $("mask")]) {
      Object.assign(part.style, {
        width: `${this.size.width}px`,
        height: `${this.size.height}px`,
        transform: `translate(${this.x}px, ${this.y}px) scale(${this.scale})`,
      });
    }
    this.zoomed = width > clientWidth + 1 || height > clientHeight + 1;
    const shown = this.scale * devicePixelRatio;
    $("zoom").textContent = `${Math.round(100 * shown)} %`;
    this.element.classList.toggle("zoomed", this.zoomed);
    this.element.classList.toggle("large", shown >= 3);
    this.element.classList.toggle("comparing", Boolean(this.comparing && !this.paints && !this.zoomed));
  }

  #at(event) {
    const box = this.element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** A point of the stage in pixels of the photo. */
  #onPhoto({ x, y }) {
    const factor = this.photo.width / this.size.width / this.scale;
    return { x: (x - this.x) * factor, y: (y - this.y) * factor };
  }

  #down(event) {
    if (event.button !== 0) return;
    const at = this.#at(event);
    this.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) {
      this.does = "pinch";
    } else if (this.paints) {
      this.does = "paint";
      this.paint(this.#onPhoto(at), this.#onPhoto(at));
    } else {
      const near = Math.abs(at.x - this.line * this.element.clientWidth) < NEAR;
      this.does = this.comparing && (near || !this.zoomed) ? "line" : "pan";
      if (this.does === "line" && event.pointerType === "mouse") this.#lineTo(at);
    }
  }

  #move(event) {
    const at = this.#at(event), last = this.pointers.get(event.pointerId);
    if (this.paints) this.#ring(at, event.pointerType);
    if (!last) return;
    if (this.does === "line") this.#lineTo(at);
    if (this.does === "paint") this.paint(this.#onPhoto(last), this.#onPhoto(at));
    if (this.does === "pan") this.#pan(at.x - last.x, at.y - last.y);
    if (this.does === "pinch") {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const far = (point) => Math.hypot(point.x - other.x, point.y - other.y);
        this.zoom((this.scale * far(at)) / Math.max(far(last), 1), (at.x + other.x) / 2, (at.y + other.y) / 2);
        this.#pan((at.x - last.x) / 2, (at.y - last.y) / 2);
      }
    }
    this.pointers.set(event.pointerId, at);
  }

  #up(event) {
    if (this.does === "line" && event.type === "pointerup" && this.pointers.has(event.pointerId)) {
      this.#lineTo(this.#at(event));
    }
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.does = null;
  }

  #lineTo(at) {
    this.cut(at.x / this.element.clientWidth);
  }

  #pan(x, y) {
    this.x += x;
    this.y += y;
    this.#place();
  }

  #ring(at, kind) {
    const side = Math.max(4, (this.brush * this.scale * this.size.width) / this.photo.width);
    $("ring").hidden = kind === "touch";
    Object.assign($("ring").style, {
      width: `${side}px`, height: `${side}px`, left: `${at.x - side / 2}px`, top: `${at.y - side / 2}px`,
    });
  }

  #wheel(event) {
    event.preventDefault();
    const at = this.#at(event);
    this.zoom(this.scale * STEP ** limit(-event.deltaY / 50, -1, 1), at.x, at.y);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.key in moves && this.zoomed) this.#pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(this.scale * STEP);
    else if (event.key === "-") this.zoom(this.scale / STEP);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.zoom(1 / devicePixelRatio);
    else return;
    event.preventDefault();
  }
}
