// Elements from values. Text only ever becomes a text node: names in a report may hold anything.
const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

const el = (name, attributes, ...children) =>
  fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);
const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString('en');
const counted = (n, noun) => `${number(n)} ${noun}${n === 1 ? '' : 's'}`;
const times = (n) => (n === 1 ? 'once' : `${number(n)} times`);

const REPORT = JSON.parse(byId('data').textContent);
const text = (index) => REPORT.texts[index];
