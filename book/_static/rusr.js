// Accessibility that the theme leaves open: names that hold the visible text, and scrollable parts that keys can reach.
document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll("button[aria-label], summary[aria-label]")) {
    const text = element.textContent.trim().replace(/\s+/g, " ");
    const label = element.getAttribute("aria-label");
    if (text && !label.includes(text)) element.setAttribute("aria-label", `${text} (${label})`);
  }
  for (const element of document.querySelectorAll(".bd-article table, .cell_output, .highlight pre")) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  }
});
