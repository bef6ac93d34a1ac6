//! What people call things: by id, by the beginning of an id, by title, path or slug.

mod category;
mod choose;
mod folder;
mod short;
mod tree;

pub(crate) use self::{
    category::{Categories, category},
    choose::{Thing, choose, is_id},
    folder::{Folders, folder, place},
    short::ShortIds,
    tree::{deleted_tree, tree},
};
