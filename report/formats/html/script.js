"use strict";
const pageRows = 100, fewRows = 10;
const number = new Intl.NumberFormat("en-US");
const size = n => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let u = 0;
  while (n >= 1023.5 && u < units.length - 1) { n /= 1024; u++; }
  return (u === 0 || n >= 99.95 ? n.toFixed(0) : n.toFixed(1)) + " " + units[u];
};
const shown = (kind, value) => {
  switch (kind) {
  case "count": return number.format(value);
  case "bytes": return size(Number(value));
  case "time": return value.slice(0, 16).replace("T", " ");
  case "digest": return value.replace(/^docker\/registry\/v2\//, "").replace(/([0-9a-f]{12})[0-9a-f]{20,}/g, "$1…");
  }
  return value;
};
for (const section of document.querySelectorAll("section.table")) {
  const data = JSON.parse(document.getElementById(section.id + "-data").textContent);
  const { kinds, rows } = data;
  const find = name => section.querySelector("." + name);
  const body = section.querySelector("tbody"), heads = [...section.querySelectorAll("th")];
  let texts = null, chosen = rows, first = 0, sorted = -1, down = false;
  const compare = column => {
    const numeric = kinds[column] === "count" || kinds[column] === "bytes";
    const sign = down ? -1 : 1;
    return (a, b) => {
      const x = numeric ? Number(a[column]) : a[column], y = numeric ? Number(b[column]) : b[column];
      return x < y ? -sign : x > y ? sign : 0;
    };
  };
  const show = () => {
    const part = chosen.slice(first, first + pageRows);
    body.replaceChildren(...part.map(row => {
      const tr = document.createElement("tr");
      row.forEach((value, i) => {
        const td = document.createElement("td");
        td.className = heads[i].className;
        td.textContent = shown(kinds[i], value);
        if (td.textContent !== value && kinds[i] === "digest") td.title = value;
        tr.append(td);
      });
      return tr;
    }));
    const of = chosen.length === rows.length ? "" : ", chosen from " + number.format(rows.length);
    find("status").textContent = chosen.length === 0 ? "no rows" + of
      : number.format(first + 1) + "–" + number.format(first + part.length) + " of " + number.format(chosen.length) + of;
    find("back").disabled = first === 0;
    find("on").disabled = first + pageRows >= chosen.length;
  };
  const choose = () => {
    const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length > 0 && texts === null) texts = new Map(rows.map(row => [row, row.join("\n").toLowerCase()]));
    chosen = words.length === 0 ? [...rows] : rows.filter(row => words.every(w => texts.get(row).includes(w)));
    if (sorted >= 0) chosen.sort(compare(sorted));
    first = 0;
    show();
  };
  heads.forEach((th, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...th.childNodes);
    th.append(button);
    button.addEventListener("click", () => {
      down = sorted === i ? !down : kinds[i] === "count" || kinds[i] === "bytes" || kinds[i] === "time";
      sorted = i;
      heads.forEach(h => h.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", down ? "descending" : "ascending");
      choose();
    });
  });
  let waiting = 0;
  find("filter").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(choose, 120); });
  find("back").addEventListener("click", () => { first = Math.max(0, first - pageRows); show(); });
  find("on").addEventListener("click", () => { first += pageRows; show(); });
  find("controls").hidden = rows.length <= fewRows;
  show();
}
