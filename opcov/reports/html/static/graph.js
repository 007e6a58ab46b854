// What makes the page of a graph quicker to use: jumps between marks, sizes of the picture, lit neighbours, arrow keys.
'use strict';

(() => {
  const all = (selector, from) => Array.from((from || document).querySelectorAll(selector));
  const button = (text, label, act) => {
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = text;
    if (label) made.setAttribute('aria-label', label);
    made.addEventListener('click', act);
    return made;
  };
  const paragraph = (kind, ...children) => {
    const made = document.createElement('p');
    made.className = kind;
    made.append(...children);
    return made;
  };

  // --- from mark to mark -----------------------------------------------------------------------------------------------

  const marks = all('.listing li[class]');
  let at = -1;
  const output = document.createElement('output');
  const jump = (step) => {
    if (!marks.length) return;
    const aimed = document.querySelector('.listing li:target');
    if (at < 0 && aimed) at = marks.findIndex((mark) => mark === aimed);
    at = at < 0 && step < 0 ? marks.length - 1 : (at + step + marks.length) % marks.length;
    const link = marks[at].querySelector('.note a');
    if (link) link.focus({ preventScroll: true });
    marks[at].scrollIntoView({ block: 'center' });
    output.textContent = `${at + 1} of ${marks.length}`;
  };
  const tools = document.querySelector('.listing-tools');
  if (tools && marks.length) {
    tools.append(paragraph('jumps', output, button('Previous mark', '', () => jump(-1)), button('Next mark', '', () => jump(1))));
  }

  // --- the picture -----------------------------------------------------------------------------------------------------

  const prepare = (flow) => {
    const picture = flow.querySelector('svg');
    const full = { width: picture.viewBox.baseVal.width, height: picture.viewBox.baseVal.height };
    const boxes = Array.from(picture.querySelector('.boxes').children);
    const edges = picture.querySelector('.edges');
    const numbers = (edges.dataset.edges || '').split(' ').map(Number);
    const lines = Array.from(edges.children).map((path, place) => ({ path, source: numbers[2 * place], target: numbers[2 * place + 1] }));
    const reads = boxes.map(() => []);
    const readers = boxes.map(() => []);
    lines.forEach((line) => {
      reads[line.target].push(line);
      readers[line.source].push(line);
    });

    let size = 1;
    const shown = document.createElement('output');
    const resize = (wanted) => {
      const next = Math.min(3, Math.max(0.1, wanted));
      const ratio = next / size;
      const middle = [flow.scrollLeft + flow.clientWidth / 2, flow.scrollTop + flow.clientHeight / 2];
      size = next;
      picture.setAttribute('width', Math.round(full.width * size));
      picture.setAttribute('height', Math.round(full.height * size));
      flow.scrollTo({ left: middle[0] * ratio - flow.clientWidth / 2, top: middle[1] * ratio - flow.clientHeight / 2, behavior: 'instant' });
      shown.textContent = `${Math.round(size * 100)} %`;
    };
    const fit = () => resize(Math.min(1, (flow.clientWidth - 4) / full.width));
    const home = flow.previousElementSibling;
    home.append(paragraph('zoom', button('−', 'Smaller', () => resize(size / 1.25)), shown, button('+', 'Larger', () => resize(size * 1.25)), button('Fit', 'Fit the width', fit), button('1:1', 'Actual size', () => resize(1))));
    resize(1);

    const light = (place) => {
      all('.near', picture).forEach((part) => part.classList.remove('near'));
      picture.classList.toggle('lit', place >= 0);
      if (place < 0) return;
      boxes[place].classList.add('near');
      for (const line of [...reads[place], ...readers[place]]) {
        line.path.classList.add('near');
        boxes[line.source].classList.add('near');
        boxes[line.target].classList.add('near');
      }
    };
    const placeOf = (target) => boxes.findIndex((box) => box.contains(target));
    picture.addEventListener('pointerover', (event) => light(placeOf(event.target)));
    picture.addEventListener('pointerleave', () => light(placeOf(document.activeElement)));
    picture.addEventListener('focusin', (event) => light(placeOf(event.target)));
    picture.addEventListener('focusout', () => light(-1));

    // One stop for the tab key; from there the arrows lead along the reads.
    const links = boxes.filter((box) => box.matches('a'));
    const rect = new Map(boxes.map((box) => [box, box.querySelector('rect')]));
    const x = (box) => rect.get(box).x.baseVal.value + rect.get(box).width.baseVal.value / 2;
    const y = (box) => rect.get(box).y.baseVal.value;
    links.forEach((link, place) => link.setAttribute('tabindex', place ? '-1' : '0'));
    const go = (box) => {
      if (!box || !box.matches('a')) return false;
      links.forEach((link) => link.setAttribute('tabindex', '-1'));
      box.setAttribute('tabindex', '0');
      box.focus({ preventScroll: true });
      box.scrollIntoView({ block: 'nearest', inline: 'nearest' });
      return true;
    };
    const beside = (box, sign) => links
      .filter((other) => Math.abs(y(other) - y(box)) < 2 && sign * (x(other) - x(box)) > 0)
      .sort((one, other) => sign * (x(one) - x(other)))[0];
    const keys = {
      ArrowUp: (place) => reads[place].map((line) => boxes[line.source]).find((box) => box.matches('a')) || links[links.indexOf(boxes[place]) - 1],
      ArrowDown: (place) => readers[place].map((line) => boxes[line.target])[0] || links[links.indexOf(boxes[place]) + 1],
      ArrowLeft: (place) => beside(boxes[place], -1),
      ArrowRight: (place) => beside(boxes[place], 1),
    };
    flow.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const place = placeOf(event.target);
      if (event.key in keys && place >= 0) {
        if (go(keys[event.key](place))) event.preventDefault();
      } else if (event.key === '+' || event.key === '=') resize(size * 1.25);
      else if (event.key === '-') resize(size / 1.25);
      else if (event.key === '0') fit();
    });
  };
  all('.flow').forEach(prepare);

  // --- keys ------------------------------------------------------------------------------------------------------------

  const help = document.querySelector('#help');
  const list = help && help.querySelector('.keys');
  const explained = [['{ }', 'previous, next marked line'], ['+ - 0', 'in the picture: larger, smaller, fit'], ['↑ ↓ ← →', 'in the picture: from node to node']];
  if (list) {
    for (const [keys, meaning] of explained) {
      const row = document.createElement('div');
      const term = document.createElement('dt');
      const description = document.createElement('dd');
      for (const key of keys.split(' ')) {
        const made = document.createElement('kbd');
        made.textContent = key;
        term.append(made, ' ');
      }
      description.textContent = meaning;
      row.append(term, description);
      list.append(row);
    }
  }
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || (help && help.open)) return;
    if (event.target.closest('input:not([type="checkbox"]), textarea, select')) return;
    if (event.key === '}') jump(1);
    else if (event.key === '{') jump(-1);
  });
})();
