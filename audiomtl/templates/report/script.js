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
// A line runs over the spectrogram while its clip plays; a click there plays from that moment on.
for (const clip of document.querySelectorAll(".clip")) {
  const audio = clip.querySelector("audio"), head = clip.querySelector(".head");
  if (!audio || !head) continue;
  const { start, end, seconds } = Object.fromEntries(Object.entries(head.dataset).map(([key, value]) => [key, Number(value)]));
  const place = () => {
    const x = start + (end - start) * Math.min(1, audio.currentTime / seconds);
    head.setAttribute("x1", x);
    head.setAttribute("x2", x);
  };
  const run = () => { place(); if (!audio.paused) requestAnimationFrame(run); };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    run();
  });
  for (const name of ["seeked", "timeupdate"]) audio.addEventListener(name, place);
  const drawing = head.ownerSVGElement;
  drawing.addEventListener("click", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
    if (point.x < start) return;
    audio.currentTime = Math.min(seconds, Math.max(0, seconds * (point.x - start) / (end - start)));
    audio.play();
  });
}
