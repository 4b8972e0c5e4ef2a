import * as React from 'react';

/**
 * Keep the keyboard's place when what had the focus goes away: put it on the part that `target` selects, else on the
 * element itself (which then needs a tabindex). Looks whenever `moment` changes, and takes the focus from nobody.
 */
export function useKeptFocus<E extends HTMLElement>(moment: unknown, target: string): React.RefObject<E> {
  const element = React.useRef<E>(null);
  const held = React.useRef(false);

  React.useEffect(() => {
    const node = element.current;
    const onIn = (): void => {
      held.current = true;
    };
    const onOut = (event: FocusEvent): void => {
      if (event.relatedTarget !== null) {
        held.current = false; // it went elsewhere; with nobody to go to, it was lost
      }
    };
    node?.addEventListener('focusin', onIn);
    node?.addEventListener('focusout', onOut);
    return () => {
      node?.removeEventListener('focusin', onIn);
      node?.removeEventListener('focusout', onOut);
    };
  }, []);

  React.useLayoutEffect(() => {
    const node = element.current;
    const { activeElement } = document;
    if (held.current && node !== null && (activeElement === document.body || activeElement === node)) {
      (node.querySelector<HTMLElement>(target) ?? node).focus({ preventScroll: true });
    }
  }, [moment, target]);

  return element;
}
