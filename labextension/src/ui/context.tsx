import * as React from 'react';

import type { IDevStudio } from '../tokens';

const Context = React.createContext<IDevStudio | null>(null);

export const StudioProvider = Context.Provider;

/** The studio that the widget around this component was made with. */
export function useStudio(): IDevStudio {
  const studio = React.useContext(Context);
  if (studio === null) {
    throw new Error('rendered outside a StudioProvider');
  }
  return studio;
}

/** Milliseconds since 1970, ticking every second while `active`. */
export function useNow(active: boolean): number {
  const [now, setNow] = React.useState(() => Date.now());
  React.useEffect(() => {
    if (!active) {
      return undefined;
    }
    const timer = setInterval(() => {
      setNow(Date.now());
    }, 1000);
    return () => {
      clearInterval(timer);
    };
  }, [active]);
  return now;
}
