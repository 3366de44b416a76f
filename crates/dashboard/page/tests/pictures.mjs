// The pictures of the page in docs/pictures, always the same ones: `cargo xtask dashboard --pictures` draws them from
// answers that a demo once gave (shop.json), at the time of these. `node pictures.mjs LINK` asks a demo anew; let it
// run for ten minutes before.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { start } from "./browser.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const ANSWERS = here("shop.json");
const BUILT = here("../../built/");
const PICTURES = here("../../../../docs/pictures/");
const [SIZE, NARROW] = [{ width: 1280, height: 800 }, { width: 400, height: 800 }];

/** What is looked at: a page, and what is done there. */
const SCENES = [
  { name: "map", at: "#/map", also: ["dark", "narrow"] },
  { name: "edge", at: "#/map", does: (page) => page.locator(".label.refused").click() },
  { name: "service", at: "#/service/default/cart", also: ["dark"] },
  { name: "calls", at: "#/calls" },
  {
    name: "call", at: "#/calls", also: ["dark"],
    does: async (page) => {
      await page.getByRole("row", { name: /R003/ }).getByRole("link", { name: /^[0-9a-f]{8}/ }).first().click();
      await page.getByRole("heading").first().waitFor();
    },
  },
  { name: "problems", at: "#/problems" },
  { name: "changes", at: "#/changes" },
  { name: "certificates", at: "#/certificates" },
];

const link = process.argv[2];
const browser = await start();
await (link ? record() : draw());
await browser.close();

/** Looks at everything in a demo that runs, and keeps what it answers. */
async function record() {
  const answers = {};
  const page = await browser.newPage({ viewport: SIZE });
  page.on("response", async (response) => {
    if (response.url().endsWith("/ask")) answers[key(response.request().postData())] = await response.json();
  });
  await page.goto(link);
  for (const scene of SCENES) {
    await look(page, scene);
    await page.waitForTimeout(3000);
  }
  const lines = Object.entries(answers).map(([asked, told]) => `${JSON.stringify(asked)}: ${JSON.stringify(told)}`);
  writeFileSync(ANSWERS, `{\n${lines.join(",\n")}\n}\n`);
}

/** What is asked, whenever that is. */
function key(question) {
  const { until, ...asked } = JSON.parse(question);
  return JSON.stringify(asked);
}

async function look(page, { at, does }) {
  await page.evaluate((at) => (location.hash = at), at);
  await page.waitForTimeout(600);
  await does?.(page);
  await page.waitForTimeout(600);
}

async function draw() {
  const answers = JSON.parse(readFileSync(ANSWERS, "utf8"));
  mkdirSync(PICTURES, { recursive: true });
  for (const scene of SCENES) {
    for (const look of ["light", ...(scene.also ?? [])]) await picture(scene, look, answers);
  }
}

async function picture(scene, manner, answers) {
  const page = await browser.newPage({
    viewport: manner === "narrow" ? NARROW : SIZE,
    colorScheme: manner === "dark" ? "dark" : "light",
    reducedMotion: "reduce",
    timezoneId: "UTC",
  });
  const overview = answers[key('{"ask":"overview"}')];
  await page.clock.setFixedTime(new Date(overview.answer.status.now));
  await page.route("**/*", (route) => serve(route, answers));
  await page.goto("http://localhost/page/");
  await look(page, scene);
  const file = `${PICTURES}${scene.name}-${manner}.png`;
  const drawn = await at_rest(page);
  if (!(existsSync(file) && (await look_alike(page, readFileSync(file), drawn)))) writeFileSync(file, drawn);
  await page.close();
}

/** The page as soon as it no longer changes. */
async function at_rest(page) {
  let before = await page.screenshot();
  for (;;) {
    await page.waitForTimeout(400);
    const now = await page.screenshot();
    if (now.equals(before)) return now;
    before = now;
  }
}

/** Whether nobody could tell two pictures apart: a browser does not blend every pixel the same each time. */
function look_alike(page, ...pictures) {
  return page.evaluate(async (pictures) => {
    const pixels = async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
      canvas.drawImage(image, 0, 0);
      return canvas.getImageData(0, 0, image.width, image.height).data;
    };
    const [before, now] = await Promise.all(pictures.map(pixels));
    return before.length === now.length && before.every((value, at) => Math.abs(value - now[at]) < 4);
  }, pictures.map((picture) => picture.toString("base64")));
}

/** Answers as Leno would. */
function serve(route, answers) {
  const { pathname } = new URL(route.request().url());
  const ending = /^\/page-\w+\.(js|css)$/.exec(pathname)?.[1];
  if (ending) {
    const contentType = ending === "js" ? "text/javascript" : "text/css";
    return route.fulfill({ body: gunzipSync(readFileSync(`${BUILT}page.${ending}.gz`)), contentType });
  }
  if (pathname === "/icon.svg") return route.fulfill({ path: here("../../assets/icon.svg") });
  if (pathname !== "/page/ask") return route.fulfill({ path: `${BUILT}index.html` });
  const told = answers[key(route.request().postData())];
  return route.fulfill({ json: told ?? { failure: { message: "nobody asked that when the answers were kept" } } });
}
