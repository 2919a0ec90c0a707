"use strict";
// Values under the pointer: those of the table below the plot, which is there without this script too.
for (const plot of document.querySelectorAll("svg.plot")) {
  const panel = plot.parentElement;
  const read = panel.querySelector(".read");
  const cursor = plot.querySelector(".cursor");
  const heads = [...panel.querySelectorAll("thead th")].map((head) => head.textContent);
  const rows = [...panel.querySelectorAll("tbody tr")];
  const left = Number(plot.dataset.left);
  const right = Number(plot.dataset.right);
  const width = plot.viewBox.baseVal.width;
  const away = (row, at) => Math.abs(Number(row.dataset.x) - at);
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const at = (((event.clientX - box.left) / box.width) * 1000 - left) / (right - left) * 1000;
    const row = rows.reduce((best, row) => (away(best, at) > away(row, at) ? row : best));
    const x = (left + (Number(row.dataset.x) / 1000) * (right - left)) / 1000 * width;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.style.opacity = 0.5;
    const cells = [...row.children].map((cell) => cell.textContent);
    read.textContent = cells.map((cell, index) => (index ? heads[index] + " " + cell : cell)).join(" · ");
  });
  plot.addEventListener("pointerleave", () => {
    cursor.style.opacity = 0;
    read.textContent = "";
  });
}
// A design that is wider than the page: where it breaks comes into sight.
for (const region of document.querySelectorAll(".drawing")) {
  const wall = region.querySelector("g.error");
  if (!wall) continue;
  const [box, around] = [wall.getBoundingClientRect(), region.getBoundingClientRect()];
  if (box.right > around.right) region.scrollLeft = box.right - around.right + 60;
}
// Tables by any of their columns.
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, index) => {
    const value = (row) => row.cells[index].dataset.sort ?? row.cells[index].textContent;
    const sort = () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => value(a).localeCompare(value(b), "en", { numeric: true }));
      const number = (row) => Number(row.cells[index].dataset.sort);
      if (rows.every((row) => row.cells[index].dataset.sort !== undefined)) rows.sort((a, b) => number(a) - number(b));
      body.append(...(up ? rows : rows.reverse()));
    };
    head.tabIndex = 0;
    head.classList.add("sortable");
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter") sort();
    });
  });
}
