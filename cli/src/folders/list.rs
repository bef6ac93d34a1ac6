//! `evergreen folders list`.

use clap::Args;
use evergreen_proto::api::v1::ListFoldersRequest;
use serde_json::{Value, json};

use crate::{
    common::Context,
    errors::Error,
    names::{self, ShortIds},
    output::{Table, json},
    pages::{self, PAGE},
};

/// The folders right in one, or at the top
#[derive(Args, Debug)]
pub(super) struct List {
    #[arg(default_value = "/")]
    folder: String,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let parent_id = names::place(&api, &self.folder).await?;
        let folders = pages::all(usize::MAX, async |page_token| {
            let request =
                ListFoldersRequest { page_size: PAGE, page_token, parent_id: parent_id.clone() };
            let answer = api.clone().list_folders(request).await?.into_inner();
            Ok((answer.folders, answer.next_page_token))
        })
        .await?;
        if context.out.is_json() {
            let folders: Value = folders.iter().map(json::folder).collect();
            return context.out.value(&json!({ "folders": folders }));
        }
        let ids = ShortIds::of(folders.iter().map(|folder| folder.folder_id.as_str()));
        let mut table = Table::new(&["=ID", "NAME", "=PLACE", "=CHANGED"]);
        for folder in &folders {
            table.row([
                ids.short(&folder.folder_id),
                &folder.name,
                &folder.position.to_string(),
                &json::minute(folder.update_time.as_ref()),
            ]);
        }
        context.out.table(&table, "No folders.")
    }
}
