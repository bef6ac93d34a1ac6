//! Folders by path or name.

use std::collections::HashMap;

use evergreen_proto::api::v1::{Folder, FolderEntry, GetFolderRequest, GetFolderSubtreeRequest};

use super::{
    Thing, choose,
    choose::{ambiguous, is_id},
};
use crate::{
    common::Api,
    errors::{Candidate, Error, Exit},
};

/// The folder that `given` means: an id, a path from the top, or a name that only one folder has.
pub(crate) async fn folder(api: &Api, given: &str) -> Result<Folder, Error> {
    if is_id(given) {
        let request = GetFolderRequest { folder_id: given.to_lowercase() };
        let answer = api.clone().get_folder(request).await?.into_inner();
        return Ok(answer.folder.unwrap_or_default());
    }
    Folders::read(api, "").await?.find(given)
}

/// The id of a folder to put something in; empty for the top, `/`.
pub(crate) async fn place(api: &Api, given: &str) -> Result<String, Error> {
    if given.trim_matches('/').is_empty() {
        return Ok(String::new());
    }
    Ok(folder(api, given).await?.folder_id)
}

/// All of the caller's folders, or those below one, each after its parent.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    pub(crate) entries: Vec<FolderEntry>,
}

impl Folders {
    pub(crate) async fn read(api: &Api, folder_id: &str) -> Result<Self, Error> {
        let request = GetFolderSubtreeRequest { folder_id: folder_id.to_owned() };
        let answer = api.clone().get_folder_subtree(request).await?.into_inner();
        Ok(Self { entries: answer.entries })
    }

    /// Paths by id: `/a/b`.
    pub(crate) fn paths(&self) -> HashMap<&str, String> {
        let mut paths: HashMap<&str, String> = HashMap::new();
        for folder in self.folders() {
            let above = paths.get(folder.parent_id.as_str()).map_or("", String::as_str);
            let path = format!("{above}/{}", folder.name);
            paths.insert(&folder.folder_id, path);
        }
        paths
    }

    fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.entries.iter().filter_map(|entry| entry.folder.as_ref())
    }

    /// The one that `given` means, if there is one.
    pub(crate) fn seek(&self, given: &str) -> Result<Option<Folder>, Error> {
        match self.find(given) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.exit() == Exit::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn find(&self, given: &str) -> Result<Folder, Error> {
        let paths = self.paths();
        let path_of = |folder: &Folder| paths[&*folder.folder_id].clone();
        let path = format!("/{}", given.trim_matches('/'));
        let (folded_path, folded) = (path.to_lowercase(), given.to_lowercase());
        let fits: [&dyn Fn(&Folder) -> bool; 4] = [
            &|folder| path_of(folder) == path,
            &|folder| folder.name == given,
            &|folder| path_of(folder).to_lowercase() == folded_path,
            &|folder| folder.name.to_lowercase() == folded,
        ];
        for fits in fits {
            let found: Vec<_> = self.folders().filter(|folder| fits(folder)).collect();
            match found[..] {
                [] => {}
                [one] => return Ok(one.clone()),
                [..] => {
                    let candidates = found
                        .iter()
                        .map(|f| Candidate { id: f.folder_id.clone(), label: path_of(f) })
                        .collect();
                    return Err(ambiguous(Thing::Folder, given, found.len(), candidates));
                }
            }
        }
        let candidates =
            self.folders().map(|f| Candidate { id: f.folder_id.clone(), label: path_of(f) });
        let chosen = choose(Thing::Folder, given, &candidates.collect::<Vec<_>>())?.id;
        Ok(self.folders().find(|folder| folder.folder_id == chosen).cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> Folders {
        let list =
            [("1", "", "IT"), ("2", "1", "Printers"), ("3", "", "Home"), ("4", "3", "Printers")];
        let entry = |(id, parent, name): (&str, &str, &str)| FolderEntry {
            folder: Some(Folder {
                folder_id: id.into(),
                parent_id: parent.into(),
                name: name.into(),
                ..Folder::default()
            }),
            ..FolderEntry::default()
        };
        Folders { entries: list.map(entry).into() }
    }

    #[test]
    fn a_folder_is_known_by_its_path_and_by_a_name_of_its_own() {
        for (given, id) in [
            ("/IT/Printers", "2"),
            ("Home/Printers/", "4"),
            ("IT", "1"),
            ("/it", "1"),
            ("home", "3"),
        ] {
            assert_eq!(folders().find(given).unwrap().folder_id, id, "{given}");
        }
    }

    #[test]
    fn a_name_that_two_folders_have_shows_both_paths() {
        let error = folders().find("Printers").unwrap_err();
        assert_eq!(error.exit(), Exit::Invalid);
        let text = error.to_string();
        assert!(text.contains("/IT/Printers") && text.contains("/Home/Printers"), "{text}");
        assert_eq!(folders().find("printers").unwrap_err().exit(), Exit::Invalid);
        assert_eq!(folders().find("Cellar").unwrap_err().exit(), Exit::NotFound);
        assert!(folders().seek("/Cellar").unwrap().is_none());
        assert_eq!(folders().seek("Printers").unwrap_err().exit(), Exit::Invalid);
        // A path is no name.
        assert_eq!(folders().find("/Printers").unwrap_err().exit(), Exit::NotFound);
    }
}
