// Keeps the page up to date for as long as somebody looks at it and does not select or pause.
"use strict";

const EVERY = 2000;
let paused = false;
let gone = null;

function begin() {
  const pause = document.getElementById("pause");
  if (pause) {
    pause.hidden = false;
    pause.textContent = paused ? "Go on" : "Pause";
  }
}

document.addEventListener("click", (event) => {
  if (event.target.id === "pause") {
    paused = !paused;
    begin();
  }
});

function rests() {
  return paused || document.hidden || !getSelection().isCollapsed;
}

async function look() {
  try {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
    const text = await answer.text();
    if (!answer.ok) {
      return tell("This visit has ended. For another link, run: leno dashboard");
    }
    tell(null);
    if (!rests()) {
      show(new DOMParser().parseFromString(text, "text/html"));
    }
  } catch {
    tell("The mesh does not answer. Below is how it was.");
  }
}

function show(fresh) {
  const focused = document.activeElement?.getAttribute("aria-labelledby");
  const button = document.activeElement?.id === "pause";
  const scrolled = [...document.querySelectorAll(".wide")].map((part) => [
    part.getAttribute("aria-labelledby"),
    part.scrollLeft,
  ]);
  for (const part of ["header", "main"]) {
    const [old, now] = [document.querySelector(part), fresh.querySelector(part)];
    if (now && old.innerHTML !== now.innerHTML) {
      old.replaceWith(now);
    }
  }
  document.title = fresh.title;
  begin();
  const region = (label) => document.querySelector(`.wide[aria-labelledby="${label}"]`);
  scrolled.forEach(([label, left]) => region(label)?.scrollTo(left, 0));
  if (button) {
    document.getElementById("pause")?.focus({ preventScroll: true });
  } else if (focused) {
    region(focused)?.focus({ preventScroll: true });
  }
}

function tell(words) {
  if (!words) {
    gone?.remove();
    gone = null;
    return;
  }
  if (!gone) {
    gone = document.createElement("p");
    gone.className = "gone";
    gone.setAttribute("role", "alert");
    document.body.prepend(gone);
  }
  if (gone.textContent !== words) {
    gone.textContent = words;
  }
}

begin();
setInterval(() => rests() || look(), EVERY);
