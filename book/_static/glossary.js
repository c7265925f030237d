// A word of the glossary shows its definition where it is met first on a page: under the pointer, or with the keyboard.
// The words come from terms.js, which book/terms.py writes from glossary.md; a press goes to the glossary itself.
// Pages of questions have none, since a definition may be the answer, nor have the titles of papers.
(() => {
  const SKIP = "a, code, pre, h1, h2, h3, h4, caption, figcaption, button, label, summary, mjx-container, .math, " +
    ".rusr-live, .rusr-compare, .rusr-timeline, .rusr-predict, .rusr-verdict, .rusr-check, .cell_input";

  function marked(article, words) {
    const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/[- ]/g, "[- ]");
    const found = new Map(Object.keys(words).map((word) => [word.toLowerCase().replace(/-/g, " "), word]));
    const pattern = Object.keys(words).sort((a, b) => b.length - a.length).map(escaped).join("|");
    const rule = new RegExp(`(?<![\\w+])(${pattern})(?![\\w+])`, "i");
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT, (node) =>
      node.parentElement.closest("p, li, td") && !node.parentElement.closest(SKIP)
        ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_REJECT);
    const nodes = [], links = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    for (let node of nodes) {
      for (let match = rule.exec(node.data); match; match = rule.exec(node.data)) {
        const key = match[1].toLowerCase().replace(/-/g, " "), word = found.get(key);
        const rest = node.splitText(match.index + match[1].length);
        const capitals = word === word.toUpperCase() || /^[A-Z][a-z]*[A-Z]/.test(word);
        if (!words[word].met && (!capitals || match[1] === word)) {
          const link = document.createElement("a");
          link.className = "rusr-term";
          link.href = `glossary.html#${words[word][0]}`;
          const text = node.splitText(match.index);
          text.replaceWith(link);
          link.append(text);
          links.push([link, words[word][1]]);
          words[word].met = true;
        }
        node = rest;
      }
    }
    return links;
  }

  function explained(links) {
    const tip = document.createElement("div");
    tip.id = "rusr-tip";
    tip.setAttribute("role", "tooltip");
    tip.hidden = true;
    document.body.append(tip);
    let hiding = 0;
    const hide = () => (tip.hidden = true);
    const later = () => (hiding = setTimeout(hide, 200)); // time to move the pointer onto the text
    const show = (link, text) => {
      clearTimeout(hiding);
      tip.textContent = text;
      tip.hidden = false;
      const box = link.getBoundingClientRect(), wide = document.documentElement.clientWidth;
      tip.style.left = `${window.scrollX + Math.max(8, Math.min(box.left, wide - tip.offsetWidth - 8))}px`;
      tip.style.top = `${window.scrollY + box.bottom + 4}px`;
    };
    for (const [link, text] of links) {
      link.setAttribute("aria-describedby", tip.id);
      for (const event of ["mouseenter", "focus"]) link.addEventListener(event, () => show(link, text));
      for (const event of ["mouseleave", "blur"]) link.addEventListener(event, later);
    }
    tip.addEventListener("mouseenter", () => clearTimeout(hiding));
    tip.addEventListener("mouseleave", later);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  }

  window.addEventListener("load", () => {
    const article = document.querySelector("article");
    const without = /(glossary|references|teaching|exam|worksheet)\.html$/;
    if (!article || !window.RUSR_TERMS || without.test(location.pathname)) return;
    explained(marked(article, structuredClone(window.RUSR_TERMS)));
  });
})();
