/** Names for the generated shapes. Nothing here is written by hand: a change of openapi.yaml changes these. */
import type { components, operations } from '../src/schema'; // `../src` is right from `src` and from `lib` alike

type Schemas = components['schemas'];

export type AgentSettings = Schemas['AgentSettingsRead'];
export type AgentSettingsWrite = Schemas['AgentSettingsWrite'];
export type Approval = Schemas['ApprovalRead'];
export type Artifact = Schemas['ArtifactRead'];
export type Coverage = Schemas['Coverage'];
export type Failure = Schemas['Failure'];
export type Budget = Schemas['BudgetRead'];
export type BudgetWrite = Schemas['BudgetWrite'];
export type Contributor = Schemas['ContributorRead'];
export type CriterionEvidence = Schemas['CriterionEvidence'];
export type CostReport = Schemas['CostReport'];
export type ApplyResult = Schemas['ApplyResult'];
export type Criterion = Schemas['CriterionRead'];
export type Documents = Schemas['Documents'];
export type DocumentType = Schemas['DocumentType'];
export type EvidenceEntry = Schemas['EvidenceEntry'];
export type FileComparison = Schemas['FileComparison'];
export type FixRound = Schemas['FixRound'];
export type GenerateRequest = Schemas['GenerateRequest'];
export type GenerateResult = Schemas['GenerateResult'];
export type Health = Schemas['Health'];
export type Lint = Schemas['LintRead'];
export type LintWarning = Schemas['LintWarning'];
export type Lease = Schemas['EgressLeaseRead'];
export type LeaseCreate = Schemas['EgressLeaseCreate'];
export type LogPage = Schemas['LogPage'];
export type LogStream = Schemas['LogStream'];
export type Me = Schemas['Me'];
export type Model = Schemas['Model'];
export type Patch = Schemas['PatchRead'];
export type PatchEdit = Schemas['PatchEdit'];
export type PatchedFile = Schemas['PatchedFile'];
export type PatchPreview = Schemas['PatchPreview'];
export type PatchRevision = Schemas['RevisionRead'];
export type PatchStatus = Schemas['PatchStatus'];
export type PatchUpload = Schemas['PatchUpload'];
export type PlanRequest = Schemas['PlanRequest'];
export type PlanResult = Schemas['PlanResult'];
export type Problem = Schemas['Problem'];
export type Project = Schemas['ProjectRead'];
export type ProjectCreate = Schemas['ProjectCreate'];
export type ProjectTemplate = Schemas['ProjectTemplate'];
export type ProjectType = Schemas['ProjectType'];
export type Optimized = Schemas['OptimizeResult'];
export type OptimizeRequest = Schemas['OptimizeRequest'];
export type Proposal = Schemas['ProposalRead'];
export type ProposalAccepted = Schemas['AcceptResult'];
export type ProposalBlock = Schemas['ProposalBlock'];
export type ProposalSummary = Schemas['ProposalSummary'];
export type Run = Schemas['RunRead'];
export type Rebase = Schemas['RebaseResult'];
export type RebaseConflict = Schemas['RebaseConflict'];
export type Replay = Schemas['ReplayRead'];
export type ReviewPolicy = Schemas['PolicyRead'];
export type ReviewPolicyWrite = Schemas['PolicyWrite'];
export type RunCreate = Schemas['RunCreate'];
export type RunStatus = Schemas['RunStatus'];
export type Session = Schemas['SpecSessionRead'];
export type SessionCreate = Schemas['SpecSessionCreate'];
export type SessionSummary = Schemas['SpecSessionSummary'];
export type SessionUpdate = Schemas['SpecSessionUpdate'];
export type Stage = Schemas['Stage'];
export type Task = Schemas['TaskRead'];
export type TaskEvidence = Schemas['TaskEvidence'];
export type TaskList = Schemas['TaskList'];
export type SpecCoverage = Schemas['SpecCoverage'];
export type TaskStatus = Schemas['TaskStatus'];
export type TestOutcome = Schemas['TestOutcome'];
export type Usage = Schemas['UsageRead'];

type QueryOf<O extends keyof operations> = NonNullable<operations[O]['parameters']['query']>;
export type CostQuery = QueryOf<'get_costs'>;
export type CostGroup = NonNullable<CostQuery['group_by']>;
export type PatchQuery = QueryOf<'list_patches'>;
export type LeaseQuery = QueryOf<'list_egress_leases'>;
export type RunQuery = QueryOf<'list_runs'>;
export type ProjectQuery = QueryOf<'list_projects'>;
export type SessionQuery = QueryOf<'list_spec_sessions'>;

/** A page of any list. */
export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** What a long call tells about itself while it works. Every member is optional: phases differ; `tested` tells a round. */
export interface Progress extends Partial<Schemas['FixRound']> {
  phase?: string;
  message?: string;
  tokens_input?: number;
  tokens_output?: number;
  cost_estimated?: number;
  /** A piece of what the model writes, in the phase `delta`: its words, or what it fills into a tool. */
  text?: string;
  kind?: 'text' | 'tool';
}

/** What the stream of events sends: where it begins, a change, or that changes were lost and all has to be read anew. */
export type StudioEvent =
  | { kind: 'ready' | 'reset'; seq: number }
  | ({ kind: 'change' } & Schemas['EventRead']);
