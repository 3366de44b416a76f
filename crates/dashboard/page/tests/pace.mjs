// How soon the map is there, and how smoothly it moves: `node pace.mjs LINK` prints both as JSON.
// Frames are those that the browser's compositor has drawn, and the work for them that of all its threads, as its
// own trace tells.
import { start } from "./browser.mjs";

const FRAMES = 300;
const TRACED = ["toplevel", "disabled-by-default-devtools.timeline", "disabled-by-default-devtools.timeline.frame"];

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
  const drawn = events.filter(({ name }) => name === "DrawFrame").map(({ ts }) => ts / 1000).sort((a, b) => a - b);
  const gaps = drawn.slice(1).map((time, at) => time - drawn[at]).sort((a, b) => a - b);
  return {
    fps: (gaps.length * 1000) / (drawn.at(-1) - drawn[0]),
    p99_ms: gaps[Math.floor(gaps.length * 0.99)],
    cpu_ms_per_frame: work(events) / drawn.length,
  };
}
