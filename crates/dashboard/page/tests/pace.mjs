// How soon the map is there, and how smoothly it moves: `node pace.mjs LINK` prints both as JSON.
// Frames are those that the browser's compositor has drawn from when the map begins to move, and the work for them that
// of all its threads, as its own trace tells. What is not seen is not drawn: the map stays in the window.
import { start } from "./browser.mjs";

const FRAMES = 300;
const TRACED = ["toplevel", "blink.user_timing", "disabled-by-default-devtools.timeline", "disabled-by-default-devtools.timeline.frame"];

const browser = await start();
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
await page.addInitScript(() => {
  // Two frames after the first service is in the document, a frame that shows it has been drawn.
  const look = () => {
    if (!document.querySelector(".service")) requestAnimationFrame(look);
    else requestAnimationFrame(() => requestAnimationFrame(() => (window.first_picture_ms = performance.now())));
  };
  look();
});
await browser.startTracing(page, { categories: TRACED });
await page.goto(process.argv[2]);
await page.waitForFunction(() => window.first_picture_ms);
const first_cpu_ms = work(await traced());
const first_ms = await page.evaluate(() => window.first_picture_ms);
const services = await page.locator(".service").count();
const edges = await page.evaluate(() => {
  const lines = [...document.querySelectorAll(".world svg .single")];
  return lines.reduce((sum, line) => sum + (line.getAttribute("d").match(/M/g) ?? []).length, 0);
});
await page.waitForTimeout(1000);

const all = await pan();
await page.keyboard.press("0");
for (let step = 0; step < 5; step++) await page.keyboard.press("+");
await page.waitForTimeout(1000);
const near = await pan();
console.log(JSON.stringify({ services, edges, first_ms, first_cpu_ms, all, near }));
await browser.close();

async function traced() {
  return JSON.parse(await browser.stopTracing()).traceEvents;
}

/** What all tasks took of a processor, in milliseconds: it does not depend on who else wants one. */
function work(events) {
  const tasks = events.filter(({ name, ph }) => ph === "X" && (name === "RunTask" || name === "ThreadPool_RunTask"));
  return tasks.reduce((sum, { tdur }) => sum + (tdur ?? 0), 0) / 1000;
}

/** Moves the map in circles, a little in each frame, as two fingers on a pad do. */
async function pan() {
  await browser.startTracing(page, { categories: TRACED });
  await page.evaluate(
    (frames) =>
      new Promise((done) => {
        const map = document.querySelector(".window");
        performance.mark("moves");
        const step = (frame) => {
          if (frame === frames) return done();
          const [deltaX, deltaY] = [Math.sin(frame / 40) * 9, Math.cos(frame / 40) * 9];
          map.dispatchEvent(new WheelEvent("wheel", { deltaX, deltaY, bubbles: true, cancelable: true }));
          requestAnimationFrame(() => step(frame + 1));
        };
        step(0);
      }),
    FRAMES,
  );
  const events = await traced();
  const times = (wanted) => events.filter(({ name }) => name === wanted).map(({ ts }) => ts / 1000).sort((a, b) => a - b);
  const [begun] = times("moves");
  const drawn = times("DrawFrame").filter((time) => time > begun);
  const gaps = drawn.map((time, at) => time - (drawn[at - 1] ?? begun)).sort((a, b) => a - b);
  return {
    fps: (drawn.length * 1000) / (drawn.at(-1) - begun),
    p99_ms: gaps[Math.floor(gaps.length * 0.99)],
    cpu_ms_per_frame: work(events) / drawn.length,
  };
}
