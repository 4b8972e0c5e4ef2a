import type { Lease, Run } from '@renum/devstudio-api-client';
import * as React from 'react';

import { LeasesModel } from '../model/leases';
import type { RunModel } from '../model/run';
import type { IDevStudio } from '../tokens';
import { Button, Chip, ErrorBox } from './common';
import { useStudio } from './context';
import { openForm } from './form';
import { useMissing } from './permission';
import { leaseStatusName } from './status';

const TONES = { requested: 'warn', approved: 'good', denied: 'bad', revoked: 'bad', expired: 'neutral' } as const;

/** The way out of the sandbox: which domains a run may reach, and by whose leave. */
export function Leases({ model, run }: { model: RunModel; run: Run }): React.JSX.Element {
  const studio = useStudio();
  const { trans } = studio;
  const missing = useMissing();
  const leases = useLeases(run);
  const ask = async (): Promise<void> => {
    if ((await askLease(studio, run)) !== null) {
      await leases.refresh();
    }
  };
  const [shown, setShown] = React.useState(false);
  const waiting = leases.leases.some(lease => lease.status === 'requested');
  const [waited, setWaited] = React.useState(false);
  if (waiting !== waited) {
    setWaited(waiting);
    setShown(shown || waiting); // what waits for a decision shows itself; nothing closes by itself
  }
  return (
    <details className="devstudio-Leases" data-testid="run-leases" open={shown} onToggle={event => { setShown(event.currentTarget.open); }}>
      <summary>
        {leases.leases.length === 0
          ? trans.__('Network: none')
          : trans._n('Network: %1 lease', 'Network: %1 leases', leases.leases.length)}
      </summary>
      {leases.error !== null && <ErrorBox error={leases.error} onRetry={() => void leases.refresh()} />}
      <ul>
        {leases.leases.map(lease => (
          <LeaseRow key={lease.id} lease={lease} leases={leases} />
        ))}
      </ul>
      <Button
        label={trans.__('Ask for domains…')}
        testid="lease-ask"
        blocked={missing('requestLease')}
        title={model.active ? trans.__('A run that has begun keeps the network that it began with') : ''}
        onClick={() => void ask()}
      />
    </details>
  );
}

function LeaseRow({ lease, leases }: { lease: Lease; leases: LeasesModel }): React.JSX.Element {
  const studio = useStudio();
  const { trans } = studio;
  const missing = useMissing();
  const blocked = leases.busy ? trans.__('Working…') : missing('approveLease');
  return (
    <li className="devstudio-Row" data-testid="lease" data-status={lease.status}>
      <Chip tone={TONES[lease.status]}>{leaseStatusName(lease.status, trans)}</Chip>
      <span className="devstudio-TestName">{lease.domains.join(', ')}</span>
      <span className="devstudio-Faint">{lease.reason}</span>
      {lease.expires_at !== null && (
        <span className="devstudio-Faint">{trans.__('until %1', new Date(lease.expires_at).toLocaleString())}</span>
      )}
      {lease.status === 'requested' && (
        <>
          <Button
            kind="primary"
            label={trans.__('Approve')}
            testid="lease-approve"
            blocked={blocked}
            onClick={() => void leases.approve(lease)}
          />
          <Button
            label={trans.__('Deny…')}
            testid="lease-deny"
            blocked={blocked}
            onClick={() => void denyWithReason(studio, lease, leases)}
          />
        </>
      )}
    </li>
  );
}

function useLeases(run: Run): LeasesModel {
  const { client, changes } = useStudio();
  const [, setTurn] = React.useState(0);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- a run's id, task and project never change
  const leases = React.useMemo(() => new LeasesModel(run, client, changes), [run.id, client, changes]);
  React.useEffect(() => {
    leases.stateChanged.connect(() => {
      setTurn(turn => turn + 1);
    });
    void leases.refresh();
    return () => {
      leases.dispose();
    };
  }, [leases]);
  return leases;
}

/** Ask for domains that runs may reach; null when cancelled. */
function askLease(studio: IDevStudio, run: Run): Promise<Lease | null> {
  const { trans, client } = studio;
  return openForm(studio, {
    title: trans.__('Ask for the network'),
    submitLabel: trans.__('Ask'),
    fields: [
      {
        name: 'domains',
        label: trans.__('Domains, one a line'),
        kind: 'textarea',
        required: true,
        maxLength: 5000,
        hint: trans.__('“example.org”; “.example.org” for all names below it; with “:port” unless it is 80 or 443.')
      },
      { name: 'reason', label: trans.__('What it is for'), kind: 'text', required: true, maxLength: 1000 },
      {
        name: 'scope',
        label: trans.__('For'),
        kind: 'select',
        value: run.task_id === null ? 'project' : 'task',
        options: [
          ...(run.task_id === null ? [] : [{ value: 'task', label: trans.__('Runs of this task') }]),
          { value: 'project', label: trans.__('All runs of the project') }
        ]
      },
      {
        name: 'expires_in_s',
        label: trans.__('How long, from the approval on'),
        kind: 'select',
        value: '3600',
        options: [
          { value: '3600', label: trans.__('1 hour') },
          { value: '28800', label: trans.__('8 hours') },
          { value: '604800', label: trans.__('7 days') }
        ]
      }
    ],
    submit: values =>
      client.requestLease({
        project_id: run.project_id,
        task_id: values.scope === 'task' ? run.task_id : null,
        run_id: null,
        domains: (values.domains ?? '').split(/[\s,]+/).filter(domain => domain !== ''),
        reason: values.reason ?? '',
        expires_in_s: Number(values.expires_in_s),
        max_bytes_up: 10_485_760,
        max_bytes_down: 1_073_741_824
      })
  });
}

async function denyWithReason(studio: IDevStudio, lease: Lease, leases: LeasesModel): Promise<void> {
  const { trans } = studio;
  await openForm(studio, {
    title: trans.__('Deny %1', lease.domains.join(', ')),
    submitLabel: trans.__('Deny'),
    fields: [{ name: 'reason', label: trans.__('Why'), kind: 'textarea', required: true, maxLength: 1000 }],
    submit: async values => {
      await leases.deny(lease, values.reason ?? '');
      return true;
    }
  });
}
