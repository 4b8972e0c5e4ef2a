"""Jupyter's configuration for DevStudio. `make run` uses it, and the wheel installs it to `etc/jupyter`.

Every setting of DevStudio is a trait of `DevStudioApp`; docs/configuration.md lists them.
"""

import os
import sys

from devstudio_server.auth.errors import SettingsError
from devstudio_server.auth.identity import LocalIdentityProvider, TeamIdentityProvider, auth_mode
from devstudio_server.jupyter.configuration import configure_local, configure_team
from devstudio_server.settings import DataFolder, default_data_dir

c = get_config()  # noqa: F821 - Jupyter provides it

_folder = DataFolder(default_data_dir())
_folder.create()

try:
    _mode = auth_mode()
except SettingsError as error:
    # Jupyter would log any other exception, and then start as if this file were not there.
    sys.exit(str(error))

if _mode == "team":
    # People sign in with tokens, and whatever Jupyter keeps is kept for each tenant. A part of this that cannot be
    # loaded ends the start: a team is not served by half of it.
    c.ServerApp.identity_provider_class = TeamIdentityProvider
    c.ServerApp.reraise_server_extension_failures = True
    configure_team(c, _folder.workspaces)
else:
    c.ServerApp.identity_provider_class = LocalIdentityProvider
    configure_local(c, _folder.workspaces)
c.ContentsManager.allow_hidden = True
c.ServerApp.jpserver_extensions.update({"devstudio_server": True})

# One port, told clearly when it is taken, instead of silently the next one.
c.ServerApp.port = int(os.environ.get("PORT", "8000"))
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False

# Every handler says who may reach it; one that does not is closed.
c.ServerApp.allow_unauthenticated_access = False
c.LabApp.news_url = None
