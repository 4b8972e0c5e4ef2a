import { VDomRenderer, type LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Model } from '../model/base';
import type { IDevStudio } from '../tokens';
import { StudioProvider } from './context';

/** How a view of the main area names itself. */
interface ILook {
  id: string;
  icon: LabIcon;
  label: string;
  className: string;
}

/** A view in the main area: a tab that can be closed, takes the focus when it comes to the front, and owns its model. */
export abstract class StudioView<M extends Model> extends VDomRenderer<M> {
  constructor(
    protected readonly studio: IDevStudio,
    model: M,
    look: ILook
  ) {
    super(model);
    this.id = look.id;
    this.title.icon = look.icon;
    this.title.label = look.label;
    this.title.closable = true;
    this.addClass(look.className);
    this.node.tabIndex = -1;
  }

  override dispose(): void {
    const { model } = this;
    super.dispose();
    model.dispose();
  }

  /** What the view shows, inside the studio's context. */
  protected abstract body(): React.JSX.Element;

  /** A tab that is closed is gone: its model listens no more, and opening it again makes a new one. */
  protected override onCloseRequest(): void {
    this.dispose();
  }

  protected override onActivateRequest(): void {
    if (!this.node.contains(document.activeElement)) {
      this.node.focus(); // makes this the current tab
    }
  }

  protected override render(): React.JSX.Element {
    return <StudioProvider value={this.studio}>{this.body()}</StudioProvider>;
  }
}
