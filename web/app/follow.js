// @ts-check
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/**
 * A list that follows its end until one scrolls away from it, or says so.
 * @template T
 * @param {T} now what there is; as long as one reads further up it stays what it was then
 * @param {any[]} deps what the height of the list depends on
 * @returns {{box: any, held: T|null, hold: () => void, follow: () => void, onScroll: () => void}} held is null while it follows
 */
export function useFollow(now, deps) {
  const box = useRef(/** @type {any} */ (null));
  const [held, setHeld] = useState(/** @type {{now: T, said: boolean}|null} */ (null));
  const following = useRef(true);
  following.current = held === null;
  const size = useRef('');
  const sizeNow = () => `${box.current.clientWidth} ${box.current.clientHeight}`;
  const toEnd = () => {
    if (!following.current) return;
    box.current.scrollTop = box.current.scrollHeight;
    size.current = sizeNow();
  };
  useLayoutEffect(toEnd, [held, ...deps]);
  useLayoutEffect(() => { // a window of another width breaks the lines anew
    const observer = new ResizeObserver(toEnd);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const onScroll = () => {
    const e = box.current;
    if (following.current && size.current !== sizeNow()) return toEnd(); // nobody scrolled: its lines broke anew
    const atEnd = e.scrollHeight - e.scrollTop - e.clientHeight < 24;
    setHeld((was) => (was?.said ? was : atEnd ? null : was ?? { now, said: false }));
  };
  return { box, held: held && held.now, hold: () => setHeld((was) => ({ now: was ? was.now : now, said: true })), follow: () => setHeld(null), onScroll };
}
