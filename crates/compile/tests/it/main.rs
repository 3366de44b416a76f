//! What resources mean, told as stories; precedence against a naive twin; order of files; names.
#![cfg(test)]

mod access;
mod bounds;
mod calls;
mod cases;
mod drawn;
mod find;
mod isolation;
mod mutations;
mod order;
mod pods;
mod precedence;
mod story;
mod tenants;
mod turnover;
mod view;
mod weighed;
