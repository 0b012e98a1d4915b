// What places may hold, and states, in words; shared by drawings and their text forms.
const HOLDS = {
  a: 'nothing', D: 'latest data, dirty', L: 'latest data, clean',
  s: 'stale data, clean', d: 'stale data, dirty',
};
const MEMORY_HOLDS = { L: 'the latest data', s: 'stale data' };
const ROLE = {
  gap: 'forgotten', write: 'write', latest: 'latest write', maintenance: 'maintenance',
  missing: 'missing', access: 'goes wrong here',
};
const TRUST = {
  whole: '',
  recent: 'Older events of this line were forgotten; the first states are those that can lead to the last.',
  end: 'The recorded events do not lead to the recorded state, so only the last state is known.',
};

const isMemory = (name) => name === 'memory';

function holdsText([name, letters]) {
  if (isMemory(name)) {
    return `memory holds ${[...letters].map((c) => MEMORY_HOLDS[c]).join(' or ')}`;
  }
  return `${name} may hold ${[...letters].map((c) => HOLDS[c]).join('; ')}`;
}

function statesText(states) {
  if (!states.length) return 'not known';
  if (states.length > 4) return `one of ${states.length} states`;
  return states.map((s) => `${s}: ${REPORT.automaton.states[s].meaning}`).join('; or ');
}

// Lines of at most `width` characters, broken at spaces where there are any.
function wrapped(words, width) {
  const lines = [];
  let line = '';
  for (let word of String(words).split(' ')) {
    while (word.length > width) {
      if (line) { lines.push(line); line = ''; }
      lines.push(word.slice(0, width));
      word = word.slice(width);
    }
    if (line && line.length + 1 + word.length > width) { lines.push(line); line = word; }
    else line = line ? `${line} ${word}` : word;
  }
  if (line) lines.push(line);
  return lines;
}

const LETTER = 0.602; // width of a letter of a monospaced font, in its size
