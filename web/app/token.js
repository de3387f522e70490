// @ts-check
// The token comes in the fragment, which no server and no log sees, and leaves the
// address bar at once: it must not end up in a bookmark, a screenshot or a history.
// It is kept for this tab alone, so that a reload does not ask again.

const slot = 'crimp.token';

/**
 * @param {{hash: string, pathname: string, search: string}} location
 * @param {{replaceState: (data: any, unused: string, url: string) => void}} history
 * @param {Storage} storage
 * @returns {string} empty: none
 */
export function takeToken(location, history, storage) {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given !== null) {
    history.replaceState(null, '', location.pathname + location.search);
    keepToken(storage, given);
    return given;
  }
  try {
    return storage.getItem(slot) ?? '';
  } catch {
    return ''; // storage is switched off in this browser
  }
}

/** @param {Storage} storage @param {string} token */
export function keepToken(storage, token) {
  try {
    storage.setItem(slot, token);
  } catch {
    // The token then lives as long as the page.
  }
}
