"""What applications in PHP look like: by which files each kind is known, what it serves, what it writes."""

from __future__ import annotations

from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.php.manifest import Composer


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of application.

    Parameters
    ----------
    name:
        What people call it.
    document_root:
        The folder that it serves; empty for the application's root.
    marks:
        Paths that all have to be there; alternatives are separated by ``|``.
    packages:
        With one of these required in composer.json, marks that are missing do not matter.
    writable:
        Folders that it writes to while it runs.
    front:
        The file that gets every request for what is no file.
    """

    name: str
    document_root: str
    marks: tuple[str, ...]
    packages: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    front: str = "index.php"

    def is_seen(self, source: SourceTree, composer: Composer | None) -> bool:
        """Whether the tree is of this kind."""
        if all(any(source.has(path) for path in mark.split("|")) for mark in self.marks):
            return True
        return bool(self.packages and composer and composer.requires(*self.packages)) and source.is_file(
            f"{self.document_root}/{self.front}".lstrip("/")
        )


#: The more special before the more general.
LAYOUTS = (
    Layout("Laravel", "public", ("artisan", "public/index.php"), ("laravel/framework",),
           ("storage", "bootstrap/cache")),
    Layout("Symfony", "public", ("public/index.php", "bin/console|symfony.lock|config/bundles.php"),
           ("symfony/framework-bundle",), ("var",)),
    Layout("Symfony 3", "web", ("web/app.php", "app/AppKernel.php|bin/console"), (), ("var",), "app.php"),
    Layout("CodeIgniter", "public", ("public/index.php", "spark"), ("codeigniter4/framework",),
           ("writable",)),
    Layout("CakePHP", "webroot", ("webroot/index.php", "bin/cake|config/app.php|config/bootstrap.php"),
           ("cakephp/cakephp",), ("tmp", "logs")),
    Layout("Yii", "web", ("web/index.php", "yii"), ("yiisoft/yii2",), ("runtime", "web/assets")),
    Layout("Magento", "pub", ("pub/index.php", "bin/magento"), (),
           ("var", "generated", "pub/static", "pub/media")),
    Layout("Drupal", "web", ("web/index.php", "web/core/lib/Drupal.php"),
           ("drupal/core-recommended", "drupal/core"), ("web/sites/default/files",)),
    Layout("Drupal", "docroot", ("docroot/index.php", "docroot/core/lib/Drupal.php"),
           ("drupal/core-recommended", "drupal/core"), ("docroot/sites/default/files",)),
    Layout("Drupal", "", ("index.php", "core/lib/Drupal.php|includes/bootstrap.inc", "sites"), (),
           ("sites/default/files",)),
    Layout("Bedrock", "web", ("web/index.php", "web/wp-config.php"), (), ("web/app/uploads",)),
    Layout("WordPress", "", ("index.php", "wp-load.php|wp-settings.php|wp-config.php|wp-includes"), (),
           ("wp-content/uploads",)),
    Layout("Slim", "public", ("public/index.php", "app/routes.php", "app/middleware.php"), ("slim/slim",),
           ("logs",)),
)  # fmt: skip


def find_layout(source: SourceTree, composer: Composer | None) -> Layout | None:
    """Return the first kind that the tree is of, or None."""
    return next((layout for layout in LAYOUTS if layout.is_seen(source, composer)), None)
