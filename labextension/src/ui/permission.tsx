import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Access, Deed } from '../model/access';
import { useStudio } from './context';

/** Why a person may not do something, as a tooltip says it; null when they may. */
export function missingReason(access: Access, deed: Deed, trans: TranslationBundle): string | null {
  const permission = access.missing(deed);
  return permission === null ? null : trans.__('Needs the permission %1; ask an administrator', permission);
}

/** Who is signed in; what uses this is drawn again when that changes. */
export function useAccess(): Access {
  const { access } = useStudio();
  const [, setTurn] = React.useState(0);
  React.useEffect(() => {
    const onChange = (): void => {
      setTurn(turn => turn + 1);
    };
    access.stateChanged.connect(onChange);
    return () => {
      access.stateChanged.disconnect(onChange);
    };
  }, [access]);
  return access;
}

/** Tells why the person may not do something; null when they may, and for what needs no permission of its own. */
export function useMissing(): (deed: Deed | null) => string | null {
  const { trans } = useStudio();
  const access = useAccess();
  return deed => (deed === null ? null : missingReason(access, deed, trans));
}
