//! Something to look at: a shelf, a few folders and some trees.

use super::trees::TreeQuery;
use super::{context::App, error::AppError};
use crate::{
    domain::{
        caller::{Caller, Role},
        category, folder,
        id::{CategoryId, FolderId},
        node::{Node, NodeKind, Nodes},
        page::{PageRequest, PageSize},
        tree::{self, Status, Visibility},
    },
    storage::StoreError,
};

impl App {
    /// Creates the demo's categories, and the folders and trees of `owner_id`. What is there
    /// already, by slug, name or title, is left as it is.
    pub(crate) async fn seed_demo(&self, owner_id: &str) -> Result<(), AppError> {
        let caller = Caller { user_id: owner_id.to_owned(), role: Some(Role::Admin) };
        let categories = self.demo_categories(&caller).await?;
        let folders = self.demo_folders(&caller).await?;
        let titles = self.own_titles(&caller).await?;
        for demo in TREES.iter().filter(|demo| !titles.iter().any(|title| title == demo.title)) {
            let edit = tree::Edit {
                title: Some(tree::title("title", demo.title.into())?),
                description: Some(tree::description("description", demo.description.into())?),
                category_id: Some(categories.get(demo.category).copied()),
                folder_id: Some(folders.get(demo.folder).copied()),
                status: Some(demo.status),
                visibility: Some(demo.visibility),
                tags: Some(tree::tags("tags", demo.tags.iter().map(|&t| t.into()).collect())?),
                nodes: Some(Nodes::parse("nodes", nodes(demo.nodes))?),
            };
            self.create_tree(&caller, edit).await?;
        }
        Ok(())
    }

    async fn demo_categories(&self, caller: &Caller) -> Result<Vec<CategoryId>, AppError> {
        let mut ids = Vec::new();
        for (position, (name, description)) in (0..).zip(CATEGORIES) {
            let content = category::Content {
                name: category::name("name", name.into())?,
                slug: category::slug_of("slug", name)?,
                description: category::description("description", description.into())?,
                position,
            };
            let slug = content.slug.clone();
            match self.create_category(caller, content).await {
                Ok(category) => ids.push(category.id),
                Err(AppError::Store(StoreError::CategorySlugTaken)) => {
                    let shelf = self.whole_shelf(caller).await?;
                    ids.extend(shelf.iter().find(|c| c.content.slug == slug).map(|c| c.id));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(ids)
    }

    async fn demo_folders(&self, caller: &Caller) -> Result<Vec<FolderId>, AppError> {
        let mut ids: Vec<FolderId> = Vec::new();
        for (position, (name, parent)) in (0..).zip(FOLDERS) {
            let parent_id = parent.and_then(|parent: usize| ids.get(parent).copied());
            let name = folder::name("name", name.into())?;
            let content = folder::Content { parent_id, name: name.clone(), position };
            match self.create_folder(caller, content).await {
                Ok(folder) => ids.push(folder.id),
                Err(AppError::Store(StoreError::FolderNameTaken)) => {
                    let mut page = first_page()?;
                    loop {
                        let found = self.list_folders(caller, parent_id, &page).await?;
                        ids.extend(
                            found.items.iter().find(|f| f.content.name == name).map(|f| f.id),
                        );
                        if found.next_token.is_empty() || ids.len() > position as usize {
                            break;
                        }
                        page.token = found.next_token;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(ids)
    }

    async fn whole_shelf(&self, caller: &Caller) -> Result<Vec<category::Category>, AppError> {
        let (mut shelf, mut page) = (Vec::new(), first_page()?);
        loop {
            let found = self.list_categories(caller, &page).await?;
            shelf.extend(found.items);
            if found.next_token.is_empty() {
                return Ok(shelf);
            }
            page.token = found.next_token;
        }
    }

    async fn own_titles(&self, caller: &Caller) -> Result<Vec<String>, AppError> {
        let (mut titles, mut page) = (Vec::new(), first_page()?);
        let query = TreeQuery { category_id: None, folder_id: None, status: None, mine: true };
        loop {
            let found = self.list_trees(caller, query.clone(), &page).await?;
            titles.extend(found.items.into_iter().map(|tree| tree.content.title));
            if found.next_token.is_empty() {
                return Ok(titles);
            }
            page.token = found.next_token;
        }
    }
}

fn first_page() -> Result<PageRequest, AppError> {
    Ok(PageRequest { size: PageSize::parse(i32::MAX)?, token: String::new() })
}

fn nodes(steps: &[Step]) -> Vec<Node> {
    (0..)
        .zip(steps)
        .map(|(position, &(node_id, parent, kind, title, body))| Node {
            node_id: node_id.into(),
            parent_id: (!parent.is_empty()).then(|| parent.into()),
            kind,
            title: title.into(),
            body: body.into(),
            position,
        })
        .collect()
}

/// Id, parent, kind, title, body.
type Step = (&'static str, &'static str, NodeKind, &'static str, &'static str);

struct DemoTree {
    title: &'static str,
    description: &'static str,
    /// A place in [`CATEGORIES`].
    category: usize,
    /// A place in [`FOLDERS`].
    folder: usize,
    status: Status,
    visibility: Visibility,
    tags: &'static [&'static str],
    nodes: &'static [Step],
}

const CATEGORIES: [(&str, &str); 3] = [
    ("Network and VPN", "Wi-Fi, wired, remote access."),
    ("Hardware", "Laptops, docks, printers, screens."),
    ("Accounts and access", "Sign-in, passwords, second factors."),
];

/// Name, and the place of the parent in this list.
const FOLDERS: [(&str, Option<usize>); 4] =
    [("Service desk", None), ("First line", Some(0)), ("Second line", Some(0)), ("Drafts", None)];

use NodeKind::{Action as Do, Question as Ask, Solution as Done};

const TREES: [DemoTree; 5] = [
    DemoTree {
        title: "The VPN does not connect",
        description: "From the first look at the network to a fresh profile.",
        category: 0,
        folder: 1,
        status: Status::Published,
        visibility: Visibility::Shared,
        tags: &["vpn", "remote", "network"],
        nodes: &[
            ("net", "", Ask, "Does any web page open?", "Try one outside of the company."),
            ("no-net", "net", Ask, "No page opens. Is it Wi-Fi?", ""),
            (
                "portal",
                "no-net",
                Do,
                "Wi-Fi: open the hotel's or train's sign-in page",
                "Open http://neverssl.com, which a captive portal redirects.",
            ),
            ("portal-ok", "portal", Done, "Connect again after signing in", ""),
            (
                "cable",
                "no-net",
                Do,
                "Cable: unplug it for ten seconds",
                "Then try another socket or another cable.",
            ),
            (
                "cable-bad",
                "cable",
                Done,
                "Hand the socket to the network team",
                "Note the number on the wall plate.",
            ),
            ("net-ok", "net", Ask, "Pages open. What does the client say?", ""),
            (
                "auth",
                "net-ok",
                Do,
                "\"Authentication failed\": sign in to the portal",
                "If that fails too, the account is locked or its password has run out.",
            ),
            ("auth-ok", "auth", Done, "Follow \"I cannot sign in\"", ""),
            ("timeout", "net-ok", Ask, "\"Timed out\": does a phone's hotspot work?", ""),
            (
                "blocked",
                "timeout",
                Done,
                "It does: the network blocks UDP 500 and 4500",
                "Choose the profile \"TCP 443\" in the client.",
            ),
            (
                "profile",
                "timeout",
                Do,
                "It does not: delete the profile and fetch it anew",
                "Settings, Profiles, Reset.",
            ),
            (
                "profile-bad",
                "profile",
                Done,
                "Still nothing: second line, with the client's log",
                "Help, Export diagnostics.",
            ),
        ],
    },
    DemoTree {
        title: "Laptop does not boot",
        description: "Power, screen, disk: in this order.",
        category: 1,
        folder: 1,
        status: Status::Published,
        visibility: Visibility::Shared,
        tags: &["laptop", "boot"],
        nodes: &[
            ("light", "", Ask, "Does the power light come on?", ""),
            (
                "dark",
                "light",
                Do,
                "No: hold the power button for 30 seconds on the charger alone",
                "Undock it first. This drains what keeps the controller stuck.",
            ),
            ("dark-other", "dark", Ask, "Does it start with another charger?", ""),
            ("charger", "dark-other", Done, "Yes: replace the charger", ""),
            (
                "board",
                "dark-other",
                Done,
                "No: main board, to the workshop",
                "Lend a replacement and move the disk.",
            ),
            ("lit", "light", Ask, "Yes. Is there a picture?", ""),
            ("external", "lit", Do, "No picture: connect an external screen", ""),
            (
                "panel",
                "external",
                Done,
                "A picture there: the panel or its cable, to the workshop",
                "",
            ),
            (
                "beeps",
                "external",
                Done,
                "None there either: count the beeps and look them up",
                "Three short ones are the memory: reseat it.",
            ),
            ("picture", "lit", Ask, "A picture. Where does it stop?", ""),
            (
                "no-disk",
                "picture",
                Done,
                "\"No boot device\": the disk has failed",
                "Restore from the backup to a new one.",
            ),
            (
                "loop",
                "picture",
                Do,
                "It restarts again and again: start in safe mode",
                "Remove the last driver or update.",
            ),
        ],
    },
    DemoTree {
        title: "I cannot sign in",
        description: "Passwords, locks and second factors.",
        category: 2,
        folder: 1,
        status: Status::Published,
        visibility: Visibility::Shared,
        tags: &["password", "mfa", "account"],
        nodes: &[
            ("where", "", Ask, "Where does it fail?", ""),
            ("pw", "where", Ask, "At the password. Was it changed in the last day?", ""),
            (
                "stale",
                "pw",
                Do,
                "Yes: lock and unlock the computer on the company network",
                "It keeps the old password until it has seen the new one accepted.",
            ),
            ("locked", "pw", Ask, "No. Does the page say \"locked\"?", ""),
            (
                "wait",
                "locked",
                Done,
                "Wait 15 minutes, then try once",
                "A phone with the old password locks it again: change it there first.",
            ),
            ("reset", "locked", Done, "Reset it in the portal with a second factor", ""),
            ("mfa", "where", Ask, "At the second factor. Is the phone at hand?", ""),
            (
                "clock",
                "mfa",
                Do,
                "Yes: set the phone's clock to automatic",
                "Codes are made from the time.",
            ),
            (
                "lost",
                "mfa",
                Done,
                "No: check the person's identity and issue a one-day code",
                "Only by video or in person.",
            ),
        ],
    },
    DemoTree {
        title: "Printer prints blank pages",
        description: "For the printers on the second floor.",
        category: 1,
        folder: 2,
        status: Status::Published,
        visibility: Visibility::Private,
        tags: &["printer"],
        nodes: &[
            ("test", "", Do, "Print the test page from the printer's own menu", ""),
            ("test-blank", "test", Ask, "It is blank. Is the toner's seal removed?", ""),
            ("seal", "test-blank", Done, "No: pull the orange strip", ""),
            (
                "drum",
                "test-blank",
                Done,
                "Yes: replace the drum",
                "It is in the cupboard beside the lift.",
            ),
            ("test-ok", "test", Ask, "It is fine. Is only one document blank?", ""),
            ("doc", "test-ok", Done, "Yes: export it as PDF and print that", ""),
            ("driver", "test-ok", Done, "No: install the driver anew", ""),
        ],
    },
    DemoTree {
        title: "Docking station loses the screens",
        description: "Not finished: firmware versions are missing.",
        category: 1,
        folder: 3,
        status: Status::Draft,
        visibility: Visibility::Private,
        tags: &["dock", "screen"],
        nodes: &[
            ("when", "", Ask, "When does it happen?", ""),
            ("sleep", "when", Do, "After sleep: update the dock's firmware", ""),
            ("always", "when", Ask, "At any time. Does another cable help?", ""),
            ("cable", "always", Done, "Replace the cable with one marked 40 Gbps", ""),
        ],
    },
];
