// Formulas on a phone: the name has a line of its own, and what is still too wide, even when
// MathJax has broken it, is set in smaller type. This runs before MathJax does.
const formulas = [...document.querySelectorAll("article .math")];
if (innerWidth < 480) for (const formula of formulas) {
  formula.innerHTML = formula.innerHTML.replace(/\\tag\{(.+?)\}/, String.raw`\\ \text{($1)}`);
}
function fit() {
  for (const formula of formulas) {
    const line = formula.matches("span") && formula.closest("p, li");
    formula.style.fontSize = "";
    for (let size = 1, step = 0; step < 4; step++) {  // the room beside a name does not shrink
      const wide = line ? formula.getBoundingClientRect().width
        : Math.max(formula.scrollWidth, formula.firstElementChild.scrollWidth);
      const free = (line || formula).clientWidth;
      if (!free || wide <= free + 2) break;
      formula.style.fontSize = `${100 * (size *= 0.98 * free / wide)}%`;
    }
  }
}
addEventListener("resize", fit);
addEventListener("load", () => window.MathJax?.startup.promise.then(fit));
