// The findings in groups. Rows are made in portions, a finding's details when it is opened, so that
// ten thousand findings are no more work than those that are looked at.
const PORTION = 200, AT_MOST_PRINTED = 500;
const BY = ['site', 'agent', 'kind', 'cause'];
const list = {
  by: 'site', query: '', rest: [], open: new Set(), shut: new Set(), current: null, more: null,
};

const groupName = (finding) => list.by === 'cause'
  ? `Cause ${finding.cause + 1}: ${text(finding.kind)}` : text(finding[list.by]);

function haystack(finding) {
  finding.searched ??= [
    finding.verdict, text(finding.agent), finding.line.pa, text(finding.rule), text(finding.repair),
    ...[...finding.access, ...finding.writer].map((pair) => pair[1]),
    ...finding.maintenance.flatMap(([op, agent, place, why]) => [op, agent, place, text(why)]),
    ...[finding.stack, ...finding.maintenance.map((entry) => entry[4])].flat(2).map(text),
    ...finding.source.map((each) => each.place),
  ].join('\n').toLowerCase();
  return finding.searched;
}

function matching() {
  const words = list.query.toLowerCase().split(/\s+/).filter(Boolean);
  return REPORT.findings.map((finding, n) => [finding, n])
    .filter(([finding]) => words.every((word) => haystack(finding).includes(word)));
}

function showList() {
  const groups = new Map();
  const found = matching();
  for (const pair of found) {
    const name = groupName(pair[0]);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(pair);
  }
  list.rest = [...groups].flatMap(([name, pairs]) => [
    { name, size: pairs.length, count: pairs.reduce((sum, [f]) => sum + f.count, 0) },
    ...(list.shut.has(`${list.by} ${name}`) ? [] : pairs.map(([finding, n]) => ({ finding, n }))),
  ]);
  byId('shown').textContent = `${number(found.length)} of ${number(REPORT.findings.length)} in `
    + counted(groups.size, 'group');
  for (const button of document.querySelectorAll('[data-by]')) {
    button.setAttribute('aria-pressed', button.dataset.by === list.by);
  }
  byId('list').replaceChildren();
  showMore(PORTION);
}

function showMore(portion) {
  const made = list.rest.splice(0, portion);
  if (list.more) list.more.remove();
  byId('list').append(...made.map((item) => (item.finding ? findingRow(item) : groupRow(item))));
  list.more = list.rest.length ? el('button', { type: 'button', class: 'more', click: () => showMore(PORTION) },
    `Show more (${number(list.rest.length)} left)`) : null;
  if (list.more) byId('list').append(list.more);
  for (const { finding, n } of made) if (finding && list.open.has(n)) openFinding(n);
}

function groupRow({ name, size, count }) {
  const key = `${list.by} ${name}`;
  const toggle = () => {
    if (!list.shut.delete(key)) list.shut.add(key);
    showList();
    [...document.querySelectorAll('.group')].find((g) => g.dataset.key === key)?.focus();
  };
  return el('h3', {}, el('button', {
    type: 'button', class: 'group', 'data-key': key, 'aria-expanded': !list.shut.has(key), click: toggle,
  }, el('span', { class: 'title' }, name), ' ',
  el('span', { class: 'size' }, `${counted(size, 'finding')}, ${times(count)}`)));
}

function findingRow({ finding, n }) {
  const kind = text(finding.kind);
  return el('article', { class: 'finding', id: `finding-${n + 1}` },
    el('h4', {}, el('button', {
      type: 'button', class: 'row', 'aria-expanded': 'false', 'aria-controls': `detail-${n + 1}`,
      click: () => (list.open.has(n) ? closeFinding(n) : openFinding(n)),
      focus: () => { list.current = n; },
    }, el('span', { class: 'n' }, n + 1), el('span', { class: `kind ${kind}` }, kind),
    el('span', { class: 'verdict' }, finding.verdict.replace(`${kind} in `, '')))),
    el('div', { class: 'detail', id: `detail-${n + 1}`, hidden: true }));
}

function openFinding(n) {
  const article = byId(`finding-${n + 1}`);
  if (!article) return;
  list.open.add(n);
  const into = byId(`detail-${n + 1}`);
  into.hidden = false;
  article.querySelector('.row').setAttribute('aria-expanded', 'true');
  const width = into.clientWidth - parseFloat(getComputedStyle(into).paddingLeft) * 2;
  into.replaceChildren(...detail(REPORT.findings[n], Math.max(width, 320)).filter(Boolean));
}

function closeFinding(n) {
  list.open.delete(n);
  const into = byId(`detail-${n + 1}`);
  if (!into) return;
  into.hidden = true;
  into.replaceChildren();
  byId(`finding-${n + 1}`).querySelector('.row').setAttribute('aria-expanded', 'false');
}

function groupBy(by) {
  list.by = by;
  showList();
}

// The address of the page may end in a finding's name: make sure that it is there, and open it.
function showNamed() {
  const named = /^#finding-(\d+)$/.exec(location.hash);
  if (!named) return;
  if (!byId(`finding-${named[1]}`)) showMore(Infinity);
  openFinding(named[1] - 1);
  byId(`finding-${named[1]}`)?.querySelector('.row').focus();
}

function startList() {
  byId('findings').hidden = false;
  for (const button of document.querySelectorAll('[data-by]')) {
    button.addEventListener('click', () => groupBy(button.dataset.by));
  }
  byId('search').addEventListener('input', (event) => {
    list.query = event.target.value;
    showList();
  });
  let width = innerWidth, waiting = 0;
  addEventListener('resize', () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => [...list.open].forEach(openFinding), 100);
  });
  let opened = [];
  addEventListener('beforeprint', () => {
    showMore(AT_MOST_PRINTED);
    opened = [...document.querySelectorAll('.finding')].map((a) => a.id.slice(8) - 1)
      .filter((n) => !list.open.has(n)).slice(0, AT_MOST_PRINTED);
    opened.forEach(openFinding);
    document.querySelectorAll('.callers').forEach((stack) => { stack.open = true; });
  });
  addEventListener('afterprint', () => opened.forEach(closeFinding));
  addEventListener('hashchange', showNamed);
  showList();
  showNamed();
}
