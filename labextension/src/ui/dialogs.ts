import type { Project, ProjectTemplate, ProjectType, Session } from '@renum/devstudio-api-client';

import type { IDevStudio } from '../tokens';
import { openForm } from './form';

/** Ask for a new project and create it; null when cancelled. */
export function askNewProject(studio: IDevStudio): Promise<Project | null> {
  const { trans } = studio;
  return openForm(studio, {
    title: trans.__('New project'),
    submitLabel: trans.__('Create project'),
    fields: [
      { name: 'name', label: trans.__('Name'), kind: 'text', required: true, maxLength: 100 },
      { name: 'description', label: trans.__('Description (optional)'), kind: 'textarea', maxLength: 10_000 },
      {
        name: 'type',
        label: trans.__('Type'),
        kind: 'select',
        value: 'api',
        options: [
          { value: 'web', label: trans.__('Web') },
          { value: 'api', label: trans.__('API or library') },
          { value: 'mobile', label: trans.__('Mobile') },
          { value: 'integration', label: trans.__('Integration') }
        ]
      },
      {
        name: 'template',
        label: trans.__('Template'),
        kind: 'select',
        value: 'python',
        options: [
          { value: 'python', label: trans.__('Python') },
          { value: 'node', label: trans.__('Node') },
          { value: 'blank', label: trans.__('Blank') }
        ],
        hint: trans.__('Generated code and tests follow the conventions of this language.')
      }
    ],
    submit: values =>
      studio.model.createProject({
        name: values.name ?? '',
        description: values.description?.trim() || null, // eslint-disable-line @typescript-eslint/prefer-nullish-coalescing -- empty means none
        type: values.type as ProjectType,
        template: values.template as ProjectTemplate
      })
  });
}

/** Ask for a new session and create it; null when cancelled. Without any project, one is asked for first. */
export async function askNewSession(studio: IDevStudio, projectId?: string): Promise<Session | null> {
  const { trans, model } = studio;
  if (!model.loaded) {
    await model.refresh();
  }
  if (model.projects.length === 0 && model.error === null) {
    const project = await askNewProject(studio);
    return project === null ? null : askNewSession(studio, project.id);
  }
  return openForm(studio, {
    title: trans.__('New session'),
    submitLabel: trans.__('Create session'),
    fields: [
      {
        name: 'project_id',
        label: trans.__('Project'),
        kind: 'select',
        value: projectId ?? model.projects[0]?.id ?? '',
        options: model.projects.map(project => ({ value: project.id, label: project.name }))
      },
      { name: 'title', label: trans.__('Title'), kind: 'text', required: true, maxLength: 200 },
      {
        name: 'description',
        label: trans.__('Description (optional)'),
        kind: 'textarea',
        maxLength: 10_000,
        hint: trans.__('What should exist when this session is finished?')
      }
    ],
    submit: values =>
      model.createSession({
        project_id: values.project_id ?? '',
        title: values.title ?? '',
        description: values.description?.trim() || null // eslint-disable-line @typescript-eslint/prefer-nullish-coalescing -- empty means none
      })
  });
}
