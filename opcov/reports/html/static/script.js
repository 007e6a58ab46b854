// What makes the site quicker to use: sorting, filtering, keys, remembered choices. Without it every page can be read.
'use strict';

(() => {
  const page = document.body.dataset.page || 'other';
  const find = (selector, from) => (from || document).querySelector(selector);
  const all = (selector, from) => Array.from((from || document).querySelectorAll(selector));

  // --- what is remembered ---------------------------------------------------------------------------------------------

  // A browser may forbid storage, above all on pages from a disk: then nothing is remembered.
  const stored = (storage, key) => {
    try { return storage().getItem(key); } catch { return null; }
  };
  const store = (storage, key, value) => {
    try {
      if (value === null) storage().removeItem(key); else storage().setItem(key, value);
    } catch { /* forbidden or full */ }
  };
  const lasting = () => localStorage;
  const passing = () => sessionStorage;

  // A fragment with a = is a state, any other one names a place in the page.
  const fragment = () => {
    const text = location.hash.slice(1);
    return text.includes('=') ? new URLSearchParams(text) : new URLSearchParams();
  };
  const remember = () => {
    const state = new URLSearchParams();
    if (filter && filter.value) state.set('q', filter.value);
    if (hide && !hide.checked) state.set('all', '1');
    for (const table of tables) {
      const sorted = sortOf.get(table);
      if (sorted) state.set(`sort.${table.id}`, `${sorted.column}.${sorted.ascending ? 'up' : 'down'}`);
      store(lasting, `opcov.${page}.sort.${table.id}`, state.get(`sort.${table.id}`));
    }
    if (hide) store(lasting, `opcov.${page}.all`, state.get('all'));
    store(passing, `opcov.${page}.q`, state.get('q'));
    const text = state.toString();
    if (text || location.hash.includes('=')) {
      try { history.replaceState(null, '', text ? `#${text}` : location.href.split('#')[0]); } catch { /* some browsers refuse it on pages from a disk */ }
    }
  };

  // --- light and dark ---------------------------------------------------------------------------------------------------

  const root = document.documentElement;
  const themeButton = find('#theme-button');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches);
  const showTheme = () => { if (themeButton) themeButton.textContent = isDark() ? 'Light' : 'Dark'; };
  const chosen = stored(lasting, 'opcov.theme');
  if (chosen === 'light' || chosen === 'dark') root.dataset.theme = chosen;
  showTheme();
  if (themeButton) {
    themeButton.addEventListener('click', () => {
      root.dataset.theme = isDark() ? 'light' : 'dark';
      store(lasting, 'opcov.theme', root.dataset.theme);
      showTheme();
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', showTheme);
  }
  all('.controls').forEach((controls) => { controls.hidden = false; });

  // --- sorting ------------------------------------------------------------------------------------------------------------

  const tables = all('table.data');
  const sortOf = new Map();
  const rowsOf = (table) => (table.tBodies[0] ? Array.from(table.tBodies[0].rows) : []);
  const originalOrder = new Map(tables.map((table) => [table, rowsOf(table)]));
  const headings = (table) => (table.tHead ? Array.from(table.tHead.rows[0].cells) : []);
  const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

  const textOf = (cell) => {
    const copy = cell.cloneNode(true);
    all('.anchor, .from', copy).forEach((part) => part.remove());
    return copy.textContent.trim();
  };
  const valueOf = (row, column, numeric) => {
    const cell = row.cells[column];
    if (!cell) return null;
    const text = cell.dataset.sort !== undefined ? cell.dataset.sort : textOf(cell);
    if (!numeric) return text || null;
    const number = Number.parseFloat(text);
    return Number.isNaN(number) ? null : number;
  };

  const sort = (table, column, ascending) => {
    const heading = headings(table)[column];
    if (!heading) return;
    const numeric = heading.dataset.sortable === 'number';
    const compare = numeric ? (one, other) => one - other : collator.compare;
    const keyed = rowsOf(table).map((row) => [valueOf(row, column, numeric), row]);
    // Rows without a value stay last in either direction; sort() is stable.
    keyed.sort(([one], [other]) => {
      if (one === null || other === null) return (one === null) - (other === null);
      return ascending ? compare(one, other) : compare(other, one);
    });
    show(table, keyed.map(([, row]) => row), { column, ascending });
  };
  const show = (table, rows, sorted) => {
    table.tBodies[0].append(...rows);
    if (sorted) sortOf.set(table, sorted); else sortOf.delete(table);
    headings(table).forEach((heading, column) => {
      if (sorted && column === sorted.column) heading.setAttribute('aria-sort', sorted.ascending ? 'ascending' : 'descending');
      else heading.removeAttribute('aria-sort');
    });
  };
  // Numbers begin with the largest, texts with the first; the third time the order is the report's own again.
  const turn = (table, column) => {
    const before = sortOf.get(table);
    const first = headings(table)[column].dataset.sortable !== 'number';
    if (!before || before.column !== column) sort(table, column, first);
    else if (before.ascending === first) sort(table, column, !first);
    else show(table, originalOrder.get(table), null);
    remember();
  };

  for (const table of tables) {
    headings(table).forEach((heading, column) => {
      if (!heading.dataset.sortable) return;
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...heading.childNodes);
      if (heading.dataset.key) button.setAttribute('aria-keyshortcuts', heading.dataset.key);
      button.addEventListener('click', () => turn(table, column));
      heading.append(button);
    });
  }

  // --- filtering ----------------------------------------------------------------------------------------------------------

  const filter = find('#filter');
  const count = find('#filter-count');
  const hide = find('#hide-supported');
  const isHidden = (row) => row.hidden || (hide !== null && hide.checked && row.dataset.status === 'supported');
  const searched = new WeakMap();
  const searchable = (row) => {
    if (!searched.has(row)) searched.set(row, row.textContent.toLowerCase().replace(/\s+/g, ' '));
    return searched.get(row);
  };

  const applyFilter = () => {
    const words = filter ? filter.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
    let shown = 0;
    let possible = 0;
    for (const table of all('table.data, table.matrix')) {
      let left = 0;
      for (const row of rowsOf(table)) {
        const text = words.length ? searchable(row) : '';
        row.hidden = !words.every((word) => text.includes(word));
        const there = !(hide && hide.checked && row.dataset.status === 'supported');
        if (there && !row.hidden) left += 1;
        if (table.matches('.data')) {
          if (there) possible += 1;
          if (there && !row.hidden) shown += 1;
        }
      }
      say(table, left === 0 && rowsOf(table).length > 0);
    }
    if (count) count.textContent = `${shown} of ${possible}`;
  };
  const say = (table, nothing) => {
    let note = find(':scope > .no-match', table.parentElement);
    if (!note && nothing) {
      note = document.createElement('p');
      note.className = 'no-match quiet';
      table.after(note);
    }
    if (note) {
      note.hidden = !nothing;
      note.textContent = filter && filter.value ? 'No row matches the filter.' : 'All rows are supported.';
    }
  };

  if (filter) {
    filter.closest('[hidden]').hidden = false;
    filter.addEventListener('input', () => { applyFilter(); remember(); });
  }
  if (hide) hide.addEventListener('change', () => { applyFilter(); remember(); });

  // --- places in the page --------------------------------------------------------------------------------------------------

  // A link to a row shows the row, whatever is hidden; a link into closed details opens them.
  const reveal = () => {
    const id = location.hash.slice(1);
    const place = id && !id.includes('=') ? document.getElementById(decoded(id)) : null;
    if (!place) return;
    const row = place.closest('tr');
    if (row && isHidden(row)) {
      if (filter) filter.value = '';
      if (hide && row.dataset.status === 'supported') hide.checked = false;
      applyFilter();
    }
    const details = place.closest('details');
    if (details) details.open = true;
    place.scrollIntoView();
  };
  const decoded = (text) => {
    try { return decodeURIComponent(text); } catch { return text; }
  };
  addEventListener('hashchange', reveal);

  // --- keys ------------------------------------------------------------------------------------------------------------------

  const help = find('#help');
  const helpButton = find('#help-button');
  if (helpButton && help) helpButton.addEventListener('click', () => help.showModal());
  if (help) find('#help-close', help).addEventListener('click', () => help.close());

  const currentRow = () => {
    const row = document.activeElement && document.activeElement.closest('table.data tbody tr');
    return row || null;
  };
  const move = (step) => {
    const rows = tables.flatMap(rowsOf).filter((row) => row.getClientRects().length > 0);
    if (!rows.length) return;
    const at = rows.indexOf(currentRow());
    const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
    let goal = find('a[href]:not(.anchor)', next);
    if (!goal) {
      goal = next;
      goal.tabIndex = -1;
    }
    goal.focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest', behavior: 'instant' });
  };
  const sortByKey = (key) => {
    const row = currentRow();
    const candidates = row ? [row.closest('table'), ...tables] : tables;
    for (const table of candidates) {
      const column = headings(table).findIndex((heading) => heading.dataset.key === key);
      if (column >= 0) {
        turn(table, column);
        if (row && table === candidates[0]) row.scrollIntoView({ block: 'nearest', behavior: 'instant' });
        return true;
      }
    }
    return false;
  };
  const act = (key) => {
    switch (key) {
      case '/': if (!filter) return false; filter.focus(); filter.select(); return true;
      case '?': if (!help) return false; help.showModal(); return true;
      case 'j': case 'n': move(1); return true;
      case 'k': case 'p': move(-1); return true;
      case 'u': case '[': location.href = `${document.body.dataset.root}index.html`; return true;
      default: return /^[a-z]$/.test(key) && sortByKey(key);
    }
  };
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || (help && help.open)) return;
    const target = event.target;
    if (event.key === 'Escape' && filter && (target === filter || filter.value)) {
      filter.value = '';
      filter.blur();
      applyFilter();
      remember();
      event.preventDefault();
      return;
    }
    if (target.closest('input:not([type="checkbox"]), textarea, select, [contenteditable]')) return;
    if (act(event.key)) event.preventDefault();
  });

  // --- the state that was left ----------------------------------------------------------------------------------------------

  const restore = () => {
    const state = fragment();
    for (const table of tables) {
      const text = state.get(`sort.${table.id}`) || stored(lasting, `opcov.${page}.sort.${table.id}`) || '';
      const match = /^(\d+)\.(up|down)$/.exec(text);
      const heading = match && headings(table)[Number(match[1])];
      if (heading && heading.dataset.sortable) sort(table, Number(match[1]), match[2] === 'up');
    }
    if (hide && (state.get('all') || stored(lasting, `opcov.${page}.all`))) hide.checked = false;
    if (filter) filter.value = state.get('q') || stored(passing, `opcov.${page}.q`) || '';
    applyFilter();
    reveal();
  };
  restore();
})();
