// A slider shows one of its frames, and the words of this frame below it.
for (const box of document.querySelectorAll("figure.explorable")) {
  const [range, words] = [box.querySelector("input"), box.querySelector("figcaption")];
  const frames = [...box.querySelectorAll("img")];
  range.addEventListener("input", () => {
    frames.forEach((frame, i) => { frame.hidden = i !== range.valueAsNumber; });
    words.textContent = frames[range.valueAsNumber].alt;
    range.setAttribute("aria-valuetext", words.textContent);
  });
  // On a slide the arrow keys belong to the slider while it has the focus. These keys leave it, and
  // those of a remote control turn the page as always.
  range.addEventListener("keydown", event => {
    if (!["Escape", "Enter", "PageUp", "PageDown"].includes(event.key)) return;
    event.preventDefault();
    range.blur();
    if (!event.key.startsWith("Page")) event.stopPropagation();
  });
}
