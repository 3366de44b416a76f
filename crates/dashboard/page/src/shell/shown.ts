/** Opens a dialog above the page; a click beside it closes it. */
export function shown(dialog: HTMLDialogElement) {
  dialog.showModal();
  const close = (event: MouseEvent) => event.target === dialog && dialog.close();
  dialog.addEventListener("click", close);
  return { destroy: () => dialog.removeEventListener("click", close) };
}
