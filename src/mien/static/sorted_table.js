// A table whose rows come in the order of the column that is clicked, and of which a word leaves those rows that hold it.

const table = document.getElementById("files");
const body = table.tBodies[0];
const rows = [...body.rows];
const heads = [...table.tHead.rows[0].cells];

function value(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value === undefined) return cell.textContent;
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

// Cells without a value stand last, whichever way the others stand.
function compare(a, b, way) {
  if (a === null || a === "" || b === null || b === "") return (a === null || a === "") - (b === null || b === "");
  return way * (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
}

for (const [column, head] of heads.entries()) {
  head.querySelector("button").addEventListener("click", () => {
    const way = head.ariaSort === "ascending" ? -1 : 1;
    for (const other of heads) other.ariaSort = "none";
    head.ariaSort = way === 1 ? "ascending" : "descending";
    body.append(...rows.sort((a, b) => compare(value(a, column), value(b, column), way)));
  });
}

document.getElementById("wanted").addEventListener("input", ({ target }) => {
  const word = target.value.toLowerCase();
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(word);
});
