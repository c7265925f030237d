// On every page of the book: where there is a live figure, loads the page's part. The networks wait until a reader
// asks.
globalThis.RUSR_LIVE = { base: document.currentScript.src.replace(/[^/]*$/, "") };
document.addEventListener("DOMContentLoaded", () => {
  if (!document.querySelector(".rusr-live")) return;
  for (const name of ["portraits.js", "app.js"]) {
    const script = document.createElement("script");
    script.src = RUSR_LIVE.base + name;
    script.async = false;
    script.onerror = () => {
      for (const place of document.querySelectorAll(".rusr-live")) {
        const line = document.createElement("p");
        line.textContent = `The live figure cannot be loaded: expected ${script.src}`;
        place.append(line);
      }
    };
    document.head.append(script);
  }
});
