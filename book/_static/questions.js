// Predictions veil what follows until a guess is made, and numbers are checked. Without this script all is shown.
// The markup comes from rusr_core/figures/questions.py.
(() => {
  const FOLLOWS = Node.DOCUMENT_POSITION_FOLLOWING;
  const isAfter = (a, b) => Boolean(a.compareDocumentPosition(b) & FOLLOWS);

  // The outermost parts of the page between two elements; headings and code stay in sight.
  function between(first, last) {
    const found = [];
    const visit = (parent) => {
      for (const child of parent.children) {
        if (child === first || child === last) continue;
        if (child.matches("h1, h2, h3, h4, .cell_input, details:has(.cell_input)")) continue;
        if (child.contains(first) || child.contains(last)) visit(child);
        else if (!isAfter(first, child) || !isAfter(child, last)) continue;
        else if (child.matches("section, .cell")) visit(child);
        else found.push(child);
      }
    };
    visit(first.closest("article") ?? document.body);
    return found;
  }

  // The prose right after a verdict speaks of what happened, up to the next heading, outcome or question.
  function told(verdict) {
    const found = [];
    let next = (verdict.closest(".cell") ?? verdict).nextElementSibling;
    while (next && !next.matches("section, h2, h3, h4, .exercise") && !next.querySelector(".cell_output, .rusr-predict")) {
      if (!next.matches(".cell")) found.push(next);
      next = next.nextElementSibling;
    }
    return found;
  }

  // A heading whose section is veiled says so, lest it seem empty.
  function noted(first, last) {
    const headings = [...document.querySelectorAll("h2, h3, h4")].filter((h) => isAfter(first, h) && isAfter(h, last));
    return headings.map((heading) => {
      const note = document.createElement("p"), words = document.createElement("em");
      words.textContent = "Hidden until you have chosen an answer above.";
      note.append(words);
      heading.after(note);
      return note;
    });
  }

  function veil(question) {
    const key = question.dataset.predict;
    const verdict = document.querySelector(`.rusr-verdict[data-verdict="${CSS.escape(key)}"]`);
    if (!verdict) return;
    verdict.tabIndex = -1;
    const parts = [...between(question, verdict), verdict, ...told(verdict)];
    const guess = document.createElement("button"), skip = document.createElement("button");
    guess.type = skip.type = "button";
    guess.textContent = "This is my guess";
    skip.textContent = "Show it without a guess";
    skip.className = "rusr-skip";
    const status = document.createElement("p");
    status.setAttribute("role", "status");
    status.textContent = "What happened is hidden until you have chosen.";
    const buttons = document.createElement("p");
    buttons.append(guess, " ", skip);
    question.append(buttons, status);

    const show = (choice) => {
      for (const part of parts) part.classList.remove("rusr-veiled");
      for (const note of notes) note.remove();
      buttons.remove();
      for (const input of question.querySelectorAll("input")) input.disabled = true;
      if (choice === null) return void (status.textContent = "What happened is shown below.");
      const answer = verdict.dataset.answer;
      const right = choice === answer ? "That is right" : `The answer is ${answer}`;
      status.textContent = `You chose ${choice}. ${right}; the reasons stand below, after the outcome.`;
      for (const item of verdict.querySelectorAll("li")) {
        const chosen = item.dataset.choice === choice;
        item.hidden = !chosen && item.dataset.choice !== answer;
        if (chosen) item.prepend(choice === answer ? "You were right. " : "Your guess. ");
      }
    };
    guess.addEventListener("click", () => {
      const chosen = question.querySelector("input:checked");
      if (chosen) show(chosen.value);
      else status.textContent = "Choose one of the answers first.";
    });
    skip.addEventListener("click", () => show(null));
    for (const part of parts) part.classList.add("rusr-veiled");
    const notes = noted(question, verdict);

    // A link to something veiled shows it.
    const followed = () => {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      const veiled = target?.closest(".rusr-veiled") ?? target?.querySelector(":scope > .rusr-veiled, .cell .rusr-veiled");
      if (veiled && parts.includes(veiled) && !target.matches("section")) {
        show(null);
        target.scrollIntoView();
      }
    };
    window.addEventListener("hashchange", followed);
    followed();
  }

  // "16,128" is a number with a thousands separator, "0,5" one with a decimal comma.
  function number(text) {
    const plain = text.trim().replace(/[\s\u00a0%]/g, "").replace("\u2212", "-");
    const value = /^-?\d{1,3}(,\d{3})+(\.\d+)?$/.test(plain) ? plain.replaceAll(",", "") : plain.replace(",", ".");
    return value === "" ? NaN : Number(value);
  }

  function checked(box) {
    const { answer, within, slips } = JSON.parse(box.dataset.check);
    const said = box.querySelector("output"), input = box.querySelector("input");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Check";
    said.before(button, " ");
    const compare = () => {
      const value = number(input.value), near = (other) => Math.abs(value - other) <= within + 1e-9 * Math.abs(other);
      const slip = slips.find(([other]) => near(other));
      if (Number.isNaN(value)) said.textContent = "Write a number, such as 12 or 0.5.";
      else if (near(answer)) said.textContent = "That is right.";
      else said.textContent = slip ? `Not yet: ${slip[1]}` : "Not yet. Try again.";
    };
    button.addEventListener("click", compare);
    input.addEventListener("keydown", (event) => event.key === "Enter" && compare());
  }

  window.addEventListener("DOMContentLoaded", () => {
    for (const question of document.querySelectorAll(".rusr-predict")) veil(question);
    for (const box of document.querySelectorAll(".rusr-check")) checked(box);
  });
})();
