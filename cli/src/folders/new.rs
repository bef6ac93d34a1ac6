//! `evergreen folders new`.

use clap::Args;
use evergreen_proto::api::v1::{CreateFolderRequest, Folder};

use crate::{
    common::{Api, Context},
    errors::Error,
    names::{self, Folders},
    output::json,
};

/// Make a folder
#[derive(Args, Debug)]
pub(super) struct New {
    /// Where it is to be, such as /IT/Printers
    path: String,

    /// Make what is missing above it; one that is there already is left as it is
    #[arg(short, long)]
    parents: bool,

    /// Its place among its siblings, the lowest first
    #[arg(long, default_value_t, allow_negative_numbers = true, value_name = "NUMBER")]
    position: i32,
}

impl New {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let path = format!("/{}", self.path.trim_matches('/'));
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        let parent_id = if self.parents {
            let there = Folders::read(&api, "").await?;
            if let Some(folder) = there.seek(&path)? {
                let sentence = format!("{path} is there already: {}", folder.folder_id);
                return context.out.done(&json::folder(&folder), &sentence);
            }
            make_all(&api, &there, above).await?
        } else {
            // With its slash it is a path, and not a name that some other folder has.
            names::place(&api, &format!("/{above}")).await?
        };
        let made = make(&api, parent_id, name, self.position).await?;
        let sentence = format!("Created {path}: {}", made.folder_id);
        context.out.done(&json::folder(&made), &sentence)
    }
}

/// Makes every step of a path that is not there, and returns the id of the last.
async fn make_all(api: &Api, there: &Folders, path: &str) -> Result<String, Error> {
    let (mut parent_id, mut so_far) = (String::new(), String::new());
    for name in path.split('/').filter(|name| !name.is_empty()) {
        so_far = format!("{so_far}/{name}");
        parent_id = match there.seek(&so_far)? {
            Some(folder) => folder.folder_id,
            None => make(api, parent_id, name, 0).await?.folder_id,
        };
    }
    Ok(parent_id)
}

async fn make(api: &Api, parent_id: String, name: &str, position: i32) -> Result<Folder, Error> {
    let folder = Folder { parent_id, name: name.to_owned(), position, ..Folder::default() };
    let request = CreateFolderRequest { folder: Some(folder) };
    Ok(api.clone().create_folder(request).await?.into_inner().folder.unwrap_or_default())
}
