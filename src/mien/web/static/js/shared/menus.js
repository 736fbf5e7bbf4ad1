// Menus of buttons behind "⋯": one is open at a time; it closes when the focus or a click goes elsewhere, when something in it was
// chosen, and by Escape.

const open = () => [...document.querySelectorAll(".menu[open]")];

addEventListener("click", ({ target }) => {
  for (const menu of open()) if (!menu.contains(target) || target.closest(".menu > div :is(a, button)")) menu.open = false;
});
addEventListener("focusin", ({ target }) => {
  for (const menu of open()) if (!menu.contains(target)) menu.open = false;
});
addEventListener("keydown", (event) => {
  const [menu] = event.key === "Escape" ? open() : [];
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
