// The theme's own script would complain that no mode was chosen; it is loaded after this one.
document.documentElement.dataset.mode ||= "auto";

// Accessibility that the theme leaves open: names that hold the visible text, lists with items, and scrollable parts
// that keys can reach. After "load", when the theme has drawn its icons.
window.addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".theme-switch-button > *")) icon.setAttribute("aria-hidden", "true");
  for (const element of document.querySelectorAll("button[aria-label], summary[aria-label]")) {
    const text = element.textContent.trim().replace(/\s+/g, " ");
    const label = element.getAttribute("aria-label");
    if (text && !label.includes(text)) element.setAttribute("aria-label", `${text} (${label})`);
  }
  for (const item of document.querySelectorAll(".citation-list > *")) item.setAttribute("role", "listitem");
  for (const element of document.querySelectorAll(".bd-article table, .cell_output, .highlight pre")) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  }
});
