// Light, dark, or what the system says. Kept for next time where the browser lets a file do so.
const THEMES = ['auto', 'light', 'dark'];

function setTheme(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId('theme').querySelector('span').textContent = theme;
  try { localStorage.setItem('pocwatch-theme', theme); } catch { /* then it is forgotten */ }
}

function theme() { return document.documentElement.dataset.theme || 'auto'; }

function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
}

function startTheme() {
  let kept = 'auto';
  try { kept = localStorage.getItem('pocwatch-theme') || 'auto'; } catch { /* as above */ }
  setTheme(THEMES.includes(kept) ? kept : 'auto');
  byId('theme').addEventListener('click', nextTheme);
}
