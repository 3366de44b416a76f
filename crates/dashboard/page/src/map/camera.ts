// Which part of the map is in the window, and how large. It moves by mouse, touch, wheel and keys without
// asking anyone else: what is drawn is only moved, never drawn anew.

export type View = { x: number; y: number; scale: number };

const LEAST = 0.08;
const MOST = 2.5;
/** How near to the window's edge something may be that is to be seen. */
const MARGIN = 44;
/** How far a pointer may go while it still only points. */
const STILL = 4;

export class Camera {
  view: View = { x: 0, y: 0, scale: 1 };
  /** Whether somebody has moved it: until then it shows everything. */
  is_own = false;
  #rest = 0;

  constructor(
    readonly window: HTMLElement,
    readonly world: HTMLElement,
    /** Told when it has moved, and when it rests. */
    readonly moved: (view: View, is_moving: boolean) => void,
  ) {}

  /** Shows all of a map of this size, clear of what lies over the window's edges. */
  fit(width: number, height: number, clear = { top: 24, right: 24, bottom: 24, left: 24 }) {
    const room = this.window.getBoundingClientRect();
    const [wide, high] = [room.width - clear.left - clear.right, room.height - clear.top - clear.bottom];
    const scale = Math.min(1.15, Math.max(LEAST, Math.min(wide / width, high / height)));
    this.is_own = false;
    this.#set({
      scale,
      x: clear.left + (wide - width * scale) / 2,
      y: clear.top + (high - height * scale) / 2,
    });
  }

  pan(x: number, y: number) {
    this.is_own = true;
    this.#set({ ...this.view, x: this.view.x + x, y: this.view.y + y });
  }

  /** Grows by a factor; a point of the window stays where it is. */
  zoom(by: number, x = this.window.clientWidth / 2, y = this.window.clientHeight / 2) {
    const scale = Math.min(MOST, Math.max(LEAST, this.view.scale * by));
    const grown = scale / this.view.scale;
    this.is_own = true;
    this.#set({ scale, x: x - (x - this.view.x) * grown, y: y - (y - this.view.y) * grown });
  }

  /** Brings a point of the map into the window, if it is not there or something lies over it on the right. */
  reveal(x: number, y: number, covered: number) {
    const [left, top] = [x * this.view.scale + this.view.x, y * this.view.scale + this.view.y];
    const into = (at: number, size: number) => Math.min(Math.max(at, MARGIN), Math.max(MARGIN, size - MARGIN)) - at;
    const [dx, dy] = [into(left, this.window.clientWidth - covered), into(top, this.window.clientHeight)];
    if (dx !== 0 || dy !== 0) this.pan(dx, dy);
  }

  /** The point of the map under a point of the screen. */
  point(client_x: number, client_y: number) {
    const room = this.window.getBoundingClientRect();
    return {
      x: (client_x - room.left - this.view.x) / this.view.scale,
      y: (client_y - room.top - this.view.y) / this.view.scale,
    };
  }

  #set(view: View) {
    const is_growing = view.scale !== this.view.scale;
    this.view = view;
    // While it grows or shrinks the picture does too, and is drawn anew when it rests.
    if (is_growing) this.world.classList.add("grows");
    this.#place(true);
    clearTimeout(this.#rest);
    this.#rest = window.setTimeout(() => {
      if (this.world.classList.contains("grows")) this.#sharpen();
      this.moved(view, false);
    }, 160);
    this.moved(view, true);
  }

  /**
   * At whole pixels of the screen, and as a layer of its own also while it rests: then moving it is moving a picture,
   * from the first frame on, and its words stay as sharp as they were.
   */
  #place(is_layer: boolean) {
    const whole = (length: number) => Math.round(length * devicePixelRatio) / devicePixelRatio;
    const [x, y] = [whole(this.view.x), whole(this.view.y)];
    const there = is_layer ? `translate3d(${x}px, ${y}px, 0)` : `translate(${x}px, ${y}px)`;
    this.world.style.transform = `${there} scale(${this.view.scale})`;
  }

  /** A layer keeps the size at which it was first drawn: for another it must be another layer. */
  #sharpen() {
    this.world.classList.remove("grows");
    this.#place(false);
    requestAnimationFrame(() => requestAnimationFrame(() => this.#place(true)));
  }
}

/** Lets the camera follow pointers and wheels; `point` is told of those that only point. */
export function steer(camera: Camera, point: (event: PointerEvent) => void): () => void {
  const { window: room } = camera;
  const down = new Map<number, { x: number; y: number }>();
  let way = 0;

  const start = (event: PointerEvent) => {
    if (event.button !== 0) return;
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    way = down.size === 1 ? 0 : Infinity;
  };
  const move = (event: PointerEvent) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    way += Math.hypot(now.x - before.x, now.y - before.y);
    if (way < STILL) return;
    if (!room.hasPointerCapture(event.pointerId)) room.setPointerCapture(event.pointerId);
    const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    if (other) {
      const far = (at: { x: number; y: number }) => Math.hypot(at.x - other.x, at.y - other.y) || 1;
      const edge = room.getBoundingClientRect();
      camera.zoom(far(now) / far(before), (now.x + other.x) / 2 - edge.left, (now.y + other.y) / 2 - edge.top);
      camera.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else {
      camera.pan(now.x - before.x, now.y - before.y);
    }
    down.set(event.pointerId, now);
  };
  const end = (event: PointerEvent) => {
    if (down.delete(event.pointerId) && event.type === "pointerup" && way < STILL) point(event);
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const edge = room.getBoundingClientRect();
    // A mouse's wheel goes in steps and one way only; two fingers on a pad go anyhow.
    const is_wheel = event.deltaMode !== 0 || (event.deltaX === 0 && Math.abs(event.deltaY) >= 50);
    if (event.ctrlKey || is_wheel) {
      const by = event.deltaMode === 0 ? event.deltaY : event.deltaY * 30;
      camera.zoom(Math.exp(-by * (event.ctrlKey && !is_wheel ? 0.01 : 0.0018)), event.clientX - edge.left, event.clientY - edge.top);
    } else {
      camera.pan(-event.deltaX, -event.deltaY);
    }
  };

  room.addEventListener("pointerdown", start);
  room.addEventListener("pointermove", move);
  room.addEventListener("pointerup", end);
  room.addEventListener("pointercancel", end);
  room.addEventListener("wheel", wheel, { passive: false });
  return () => {
    room.removeEventListener("pointerdown", start);
    room.removeEventListener("pointermove", move);
    room.removeEventListener("pointerup", end);
    room.removeEventListener("pointercancel", end);
    room.removeEventListener("wheel", wheel);
  };
}
