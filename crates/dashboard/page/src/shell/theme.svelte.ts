// Light or dark: as the system has it, until somebody chooses.

export type Theme = "system" | "light" | "dark";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const KEPT = "leno-theme";

class Look {
  theme = $state<Theme>(read());

  constructor() {
    this.#show();
  }

  turn() {
    this.theme = NEXT[this.theme];
    this.#show();
    try {
      localStorage.setItem(KEPT, this.theme);
    } catch {
      // A browser that keeps nothing forgets this too.
    }
  }

  #show() {
    if (this.theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.theme;
  }
}

function read(): Theme {
  try {
    const kept = localStorage.getItem(KEPT);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system";
  }
}

export const look = new Look();
