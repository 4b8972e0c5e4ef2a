import type { JupyterFrontEnd } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import type { IEditorFactoryService } from '@jupyterlab/codeeditor';
import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Widget } from '@lumino/widgets';

import { CostsModel } from './model/costs';
import { PatchModel } from './model/patch';
import { ReviewMarks } from './model/review-marks';
import { RunModel } from './model/run';
import { RunsModel } from './model/runs';
import { SessionModel } from './model/session';
import { CommandIds, type IDevStudio } from './tokens';
import { CostsView } from './ui/costs';
import { PatchView } from './ui/patch';
import { RunView } from './ui/run';
import { RunsView } from './ui/runs';
import { SessionView } from './ui/session';

/** The height in pixels from which the main area has room for a run below what it belongs to. */
const ROOM_FOR_TWO = 720;

interface IServices {
  app: JupyterFrontEnd;
  studio: IDevStudio;
  editors: IEditorFactoryService;
  languages: IEditorLanguageRegistry;
}

/** The open views: one of each session, patch and run. Opening an open one brings it to the front. */
export class Views {
  readonly sessions = new WidgetTracker<SessionView>({ namespace: 'devstudio-sessions' });
  readonly patches = new WidgetTracker<PatchView>({ namespace: 'devstudio-patches' });
  readonly runs = new WidgetTracker<RunView>({ namespace: 'devstudio-runs' });
  /** The lists of runs, by their project. */
  readonly lists = new WidgetTracker<RunsView>({ namespace: 'devstudio-run-lists' });

  readonly costs = new WidgetTracker<CostsView>({ namespace: 'devstudio-costs' });

  constructor(private readonly services: IServices) {
    void services.app.restored.then(() => {
      this.restored = true;
    });
  }

  openSession(id: string): SessionView {
    return this.open(this.sessions, id, () => {
      const { studio, editors } = this.services;
      const model = new SessionModel(
        id,
        studio.client,
        studio.changes,
        window.localStorage,
        () => studio.access.owner
      );
      void studio.access.ready // drafts are a person's own
        .then(() => model.refresh())
        .then(() => {
          studio.model.show(model.session);
        });
      this.showPanel();
      if (!studio.model.loaded) {
        void studio.model.refresh(); // the view offers the models
      }
      return new SessionView(studio, model, editors);
    });
  }

  openPatch(id: string): PatchView {
    return this.open(this.patches, id, () => {
      const { studio, languages } = this.services;
      const marks = new ReviewMarks(id, window.localStorage, () => studio.access.owner);
      const model = new PatchModel(id, studio.client, studio.changes, studio.access, marks);
      void studio.access.ready.then(() => model.refresh()); // what a person left in the browser is their own
      return new PatchView(studio, model, languages);
    });
  }

  openRun(id: string): RunView {
    return this.open(
      this.runs,
      id,
      () => {
        const { studio } = this.services;
        const model = new RunModel(id, studio.client, studio.changes);
        void model.start();
        return new RunView(studio, model);
      },
      this.placeOfRun()
    );
  }

  async openRuns(projectId: string): Promise<RunsView> {
    const { studio, app } = this.services;
    const known = this.lists.find(view => view.model.projectId === projectId);
    if (known !== undefined) {
      app.shell.activateById(known.id);
      return known;
    }
    const { name } = studio.model.projectOf(projectId) ?? (await studio.client.project(projectId));
    const model = new RunsModel(projectId, studio.client, studio.changes);
    void model.refresh();
    const view = new RunsView(studio, model, name);
    void this.lists.add(view);
    app.shell.add(view, 'main');
    app.shell.activateById(view.id);
    return view;
  }

  openCosts(): CostsView {
    const { studio, app } = this.services;
    const known = this.costs.currentWidget;
    const view = known ?? new CostsView(studio, new CostsModel(studio.client, studio.changes));
    if (known === null) {
      void this.costs.add(view);
      app.shell.add(view, 'main');
    }
    void view.model.refresh();
    app.shell.activateById(view.id);
    return view;
  }

  /** Show the session's place among the others, except while JupyterLab puts back what was shown before. */
  private showPanel(): void {
    if (this.restored) {
      void this.services.studio.commands.execute(CommandIds.showPanel).catch(() => undefined);
    }
  }

  /** The view of a patch, when it is open. */
  patch(id: string): PatchView | null {
    return this.patches.find(view => view.model.id === id) ?? null;
  }

  /** The view in front, when it is one of ours. */
  get current(): Widget | null {
    return this.services.app.shell.currentWidget;
  }

  /** Beside the other runs, else below what is in front, or behind its tab when halves would be too low to read. */
  private placeOfRun(): DocumentRegistry.IOpenOptions {
    const { current } = this;
    const other = this.runs.currentWidget;
    if (other !== null) {
      return { mode: 'tab-after', ref: other.id };
    }
    return current === null || current.node.clientHeight >= ROOM_FOR_TWO
      ? { mode: 'split-bottom' }
      : { mode: 'tab-after', ref: current.id };
  }

  private open<W extends SessionView | PatchView | RunView>(
    tracker: WidgetTracker<W>,
    id: string,
    make: () => W,
    place: DocumentRegistry.IOpenOptions = {}
  ): W {
    const { shell } = this.services.app;
    const known = tracker.find(view => view.model.id === id);
    const view = known ?? make();
    if (known === undefined) {
      void tracker.add(view);
      shell.add(view, 'main', place);
    }
    shell.activateById(view.id);
    return view;
  }

  private restored = false;
}
