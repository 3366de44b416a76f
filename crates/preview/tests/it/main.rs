//! What a change means for calls, as stories: two configurations and what was recorded in, rows out.
#![cfg(test)]

mod aftermath;
mod preview;
mod suggest;
mod unread;
mod world;
