// Keeps the page up to date for as long as somebody looks at it and does not select or pause.
"use strict";

const EVERY = 2000;
let paused = false;
let gone = null;

// The button is of use only where this runs.
function arm(page) {
  const button = page.getElementById("pause");
  if (button) {
    button.hidden = false;
    button.textContent = paused ? "Go on" : "Pause";
  }
}

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

function show(page) {
  arm(page);
  document.title = page.title;
  for (const part of ["header", "main"]) {
    const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
    if (old && fresh) {
      patch(old, fresh);
    }
  }
}

// Replaces only what differs: what stays keeps its focus and where it is scrolled to, and is not
// read aloud again.
function patch(old, fresh) {
  if (old.isEqualNode(fresh)) {
    return;
  }
  const [olds, freshes] = [[...old.childNodes], [...fresh.childNodes]];
  const alike = old.cloneNode(false).isEqualNode(fresh.cloneNode(false));
  if (!alike || olds.length === 0 || olds.length !== freshes.length) {
    old.replaceWith(fresh);
    return;
  }
  olds.forEach((node, at) => patch(node, freshes[at]));
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

document.addEventListener("click", (event) => {
  if (event.target.id === "pause") {
    paused = !paused;
    arm(document);
  }
});
arm(document);
setInterval(() => rests() || look(), EVERY);
