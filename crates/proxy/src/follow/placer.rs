//! How the proxy of a node finds out about a pod that is about to run there: over the connection by which it follows.

use leno_channel::grpc::{Line, StatusCode};
use leno_wire::call;
use leno_wire::pods::{Arriving, Placed};
use tokio::sync::watch;

/// Asks the control plane that a proxy follows.
#[derive(Clone, Debug)]
pub struct Placer(watch::Receiver<Option<Line>>);

impl Placer {
    /// Asks by the connection to the control plane that `line` tells of, while there is one.
    pub fn new(line: watch::Receiver<Option<Line>>) -> Self {
        Self(line)
    }

    /// Waits until there is a connection to the control plane, for as long as it is polled.
    pub async fn reach(&mut self) {
        // Where nobody follows any more, who asks is told so.
        drop(self.0.wait_for(Option::is_some).await);
    }

    /// Who carries the calls of a pod. Waits until the control plane answers, for as long as it is polled.
    pub async fn place(&mut self, pod: &Arriving) -> Result<Placed, String> {
        let nobody = "nobody follows the control plane";
        loop {
            let line = self.0.wait_for(Option::is_some).await;
            let line = line.ok().and_then(|line| line.clone()).ok_or(nobody)?;
            let placed = match line.ask(call::PLACE, &pod.encode()).await {
                Ok(placed) => placed,
                // Who cannot be reached this way may be by the next connection.
                Err(status) if status.code == StatusCode::Unavailable => {
                    self.0.changed().await.map_err(|_| nobody)?;
                    continue;
                }
                Err(status) => return Err(status.to_string()),
            };
            return Placed::decode(&placed).map_err(|misfit| misfit.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use leno_channel::grpc::{Call, Status, serve};
    use leno_model::view::WorkloadId;
    use leno_model::{Name, Namespace};
    use tokio::io::duplex;
    use tokio::sync::mpsc;

    use super::*;

    /// A connection to a control plane that answers so, and tells when it is asked.
    async fn line(asked: mpsc::Sender<()>, answer: Result<Placed, StatusCode>) -> Line {
        let (near, far) = duplex(64 << 10);
        let handle = move |mut call: Call| {
            let (asked, answer) = (asked.clone(), answer.clone());
            async move {
                while let Ok(Some(_)) = call.messages.next().await {}
                let answer = answer.map(|placed| placed.encode());
                let answer = answer.map_err(|code| Status::new(code, "not now"));
                call.answer.reply(answer).await.unwrap();
                asked.send(()).await.unwrap();
            }
        };
        tokio::spawn(serve(far, 64 << 10, handle));
        let (line, run) = Line::open(near).await.unwrap();
        tokio::spawn(run);
        line
    }

    #[tokio::test]
    async fn who_is_not_reached_by_one_connection_is_asked_by_the_next() {
        let pod = Arriving {
            id: WorkloadId {
                namespace: Namespace::new("shop").unwrap(),
                name: Name::new("web-1").unwrap(),
            },
            uid: "7".to_owned(),
        };
        let (follow, followed) = watch::channel(None);
        let (asked, mut asking) = mpsc::channel(1);
        let mut placer = Placer::new(followed);
        let ends = line(asked.clone(), Err(StatusCode::Unavailable)).await;
        let answers = line(asked.clone(), Ok(Placed::Elsewhere)).await;
        let refuses = line(asked, Err(StatusCode::PermissionDenied)).await;
        follow.send_replace(Some(ends));
        let follows = async {
            asking.recv().await.unwrap();
            follow.send_replace(None);
            follow.send_replace(Some(answers));
            asking.recv().await.unwrap();
        };
        let (placed, ()) = tokio::join!(placer.place(&pod), follows);
        assert_eq!(placed, Ok(Placed::Elsewhere));
        follow.send_replace(Some(refuses));
        let refused = placer.place(&pod).await.unwrap_err();
        assert!(refused.contains("not now"), "{refused}");
        drop(follow);
    }
}
