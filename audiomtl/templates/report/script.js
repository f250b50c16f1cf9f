// A trial that is pointed at, tapped or chosen in the list is highlighted in all drawings of its study.
"use strict";
for (const study of document.querySelectorAll(".study")) {
  const marks = [...study.querySelectorAll("[data-trial]")];
  if (!marks.length) continue;
  const texts = new Map();
  for (const mark of marks) texts.set(mark.dataset.trial, mark.querySelector("title").textContent);
  const label = document.createElement("label");
  label.className = "choice";
  label.append("Highlight trial ");
  const list = document.createElement("select");
  list.add(new Option("none", ""));
  for (const number of [...texts.keys()].sort((a, b) => a - b)) list.add(new Option(number, number));
  label.append(list);
  const told = document.createElement("p");
  told.className = "told";
  told.setAttribute("aria-live", "polite");
  study.querySelector("figure").before(label, told);
  let kept = "";
  const show = (number) => {
    study.classList.toggle("chosen", number !== "");
    for (const mark of marks) mark.classList.toggle("chosen", mark.dataset.trial === number);
    told.textContent = texts.get(number) ?? "";
    list.value = number;
  };
  const trialOf = (event) => event.target.closest?.("[data-trial]")?.dataset.trial ?? "";
  study.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") show(trialOf(event) || kept); });
  study.addEventListener("click", (event) => {
    if (label.contains(event.target)) return;
    kept = trialOf(event);
    show(kept);
  });
  list.addEventListener("change", () => { kept = list.value; show(kept); });
}
