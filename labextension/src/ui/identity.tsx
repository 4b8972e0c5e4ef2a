import * as React from 'react';

import { CommandIds } from '../tokens';
import { Button, Chip } from './common';
import { useStudio } from './context';
import { useAccess } from './permission';

/** Who is signed in, as what, in which tenant, and the way out. One local user needs none of it. */
export function IdentityStrip(): React.JSX.Element | null {
  const { trans, commands } = useStudio();
  const { me, team, signedOut } = useAccess();
  if (me === null || !team) {
    return null;
  }
  return (
    <section className="devstudio-Identity" aria-label={trans.__('Signed in')} data-testid="identity">
      <div className="devstudio-IdentityRow">
        <strong title={trans.__('User %1', me.user_id)} data-testid="identity-name">
          {me.name}
        </strong>
        {signedOut ? (
          <Button
            kind="primary"
            label={trans.__('Try again')}
            testid="sign-in-again"
            onClick={() => void commands.execute(CommandIds.signInAgain)}
          />
        ) : (
          <Button label={trans.__('Sign out')} testid="sign-out" onClick={() => void commands.execute(CommandIds.signOut)} />
        )}
      </div>
      <div className="devstudio-Row">
        {signedOut && <Chip tone="warn">{trans.__('signed out')}</Chip>}
        {me.roles.map(role => (
          <Chip key={role} tone="neutral" testid="identity-role" status={role} title={trans.__('Role')}>
            {role.replaceAll('_', ' ')}
          </Chip>
        ))}
        <span className="devstudio-Faint" title={trans.__('Tenant %1', me.tenant_id)} data-testid="identity-tenant">
          {trans.__('tenant …%1', me.tenant_id.slice(-6))}
        </span>
      </div>
    </section>
  );
}
