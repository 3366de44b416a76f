// A server of gRPC that says what it was asked, and a client that asks for one thing and prints what
// became of it. Messages are strings, as the well-known StringValue.
//
//	grpc server ADDRESS
//	grpc client ADDRESS WHAT [NUMBER]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type text = wrapperspb.StringValue

// Longer than anything takes, so that a lost message fails the test and does not hang it.
const limit = 60 * time.Second

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "server":
		err = serve(os.Args[2])
	case len(os.Args) >= 4 && os.Args[1] == "client":
		number := 0
		if len(os.Args) > 4 {
			if number, err = strconv.Atoi(os.Args[4]); err != nil {
				log.Fatal(err)
			}
		}
		err = ask(os.Args[2], os.Args[3], number)
	default:
		err = errors.New("usage: grpc server ADDRESS | grpc client ADDRESS WHAT [NUMBER]")
	}
	if err != nil {
		log.Fatal(err)
	}
}

var (
	both   = grpc.StreamDesc{StreamName: "Both", ServerStreams: true, ClientStreams: true}
	down   = grpc.StreamDesc{StreamName: "Down", ServerStreams: true}
	up     = grpc.StreamDesc{StreamName: "Up", ClientStreams: true}
	detail = metadata.Pairs("x-told", "yes")
)

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	handler := func(handle func(grpc.ServerStream) error) grpc.StreamHandler {
		return func(_ any, stream grpc.ServerStream) error { return handle(stream) }
	}
	both, down, up := both, down, up
	both.Handler, down.Handler, up.Handler = handler(echo), handler(count), handler(sum)
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "shop.Cart",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
		Streams:     []grpc.StreamDesc{both, down, up},
	}, nil)
	fmt.Println(`"ready"`)
	return server.Serve(listener)
}

// unary answers with what it was asked, or does what it is told: fail NUMBER, wait.
func unary(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	asked := new(text)
	if err := decode(asked); err != nil {
		return nil, err
	}
	word, rest, _ := strings.Cut(asked.Value, " ")
	switch word {
	case "fail":
		code, err := strconv.Atoi(rest)
		if err != nil {
			return nil, err
		}
		if err := grpc.SetTrailer(ctx, detail); err != nil {
			return nil, err
		}
		return nil, status.Error(codes.Code(code), "as asked, 100 %")
	case "wait":
		<-ctx.Done()
		fmt.Println("gone:", ctx.Err())
		return nil, ctx.Err()
	case "who":
		got, _ := metadata.FromIncomingContext(ctx)
		return &text{Value: strings.Join(got.Get(rest), ",")}, nil
	}
	return asked, nil
}

func echo(stream grpc.ServerStream) error {
	for {
		message := new(text)
		if err := stream.RecvMsg(message); err == io.EOF {
			stream.SetTrailer(detail)
			return nil
		} else if err != nil {
			fmt.Println("gone:", err)
			return err
		}
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
}

func count(stream grpc.ServerStream) error {
	asked := new(text)
	if err := stream.RecvMsg(asked); err != nil {
		return err
	}
	number, err := strconv.Atoi(asked.Value)
	if err != nil {
		return err
	}
	for at := range number {
		if err := stream.SendMsg(&text{Value: strconv.Itoa(at)}); err != nil {
			return err
		}
	}
	return nil
}

func sum(stream grpc.ServerStream) error {
	bytes, messages := 0, 0
	for {
		message := new(text)
		if err := stream.RecvMsg(message); err == io.EOF {
			return stream.SendMsg(&text{Value: fmt.Sprintf("%d messages, %d bytes", messages, bytes)})
		} else if err != nil {
			return err
		}
		messages++
		bytes += len(message.Value)
	}
}

func ask(address, what string, number int) error {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if window, ok := strings.CutPrefix(what, "window-"); ok {
		// The least that grpc-go takes for a window is 65,535.
		what = window
		options = append(options, grpc.WithInitialWindowSize(65535), grpc.WithInitialConnWindowSize(65535))
	}
	client, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	said, err := converse(ctx, client, what, number)
	if err != nil {
		told := status.Convert(err)
		fmt.Printf("%s: %s\n", told.Code(), told.Message())
		return nil
	}
	fmt.Printf("OK: %s\n", said)
	return nil
}

func converse(ctx context.Context, client *grpc.ClientConn, what string, number int) (string, error) {
	switch what {
	case "down":
		stream, err := open(ctx, client, &down, &text{Value: strconv.Itoa(number)}, true)
		if err != nil {
			return "", err
		}
		read, err := drain(stream)
		return fmt.Sprintf("%d messages", read), err
	case "up":
		stream, err := client.NewStream(ctx, &up, "/shop.Cart/Up")
		if err != nil {
			return "", err
		}
		for range number {
			if err := stream.SendMsg(&text{Value: "message"}); err != nil {
				break
			}
		}
		stream.CloseSend()
		said := new(text)
		err = stream.RecvMsg(said)
		return said.Value, err
	case "both":
		// One message is on its way at a time.
		stream, err := client.NewStream(ctx, &both, "/shop.Cart/Both")
		if err != nil {
			return "", err
		}
		for at := range number {
			sent := &text{Value: strconv.Itoa(at)}
			if err := stream.SendMsg(sent); err != nil {
				return "", err
			}
			got := new(text)
			if err := stream.RecvMsg(got); err != nil {
				return "", err
			}
			if got.Value != sent.Value {
				return "", fmt.Errorf("%q came in the place of %q", got.Value, sent.Value)
			}
		}
		stream.CloseSend()
		if _, err := drain(stream); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d messages, told %v", number, stream.Trailer().Get("x-told")), nil
	case "flood":
		// As many are on their way as windows let through.
		stream, err := client.NewStream(ctx, &both, "/shop.Cart/Both")
		if err != nil {
			return "", err
		}
		go func() {
			for at := range number {
				if stream.SendMsg(&text{Value: strconv.Itoa(at)}) != nil {
					return
				}
			}
			stream.CloseSend()
		}()
		read, err := drain(stream)
		return fmt.Sprintf("%d messages", read), err
	case "load":
		return load(client, number)
	case "large":
		return unaryOf(ctx, client, strings.Repeat("x", number))
	case "fail":
		var trailer metadata.MD
		err := client.Invoke(ctx, "/shop.Cart/Unary", &text{Value: fmt.Sprintf("fail %d", number)}, new(text), grpc.Trailer(&trailer))
		if len(trailer.Get("x-told")) != 1 {
			return "", fmt.Errorf("the trailer is missing: %w", err)
		}
		return "", err
	case "deadline":
		short, cancel := context.WithTimeout(ctx, time.Duration(number)*time.Millisecond)
		defer cancel()
		return unaryOf(short, client, "wait")
	case "cancel":
		short, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Duration(number)*time.Millisecond, cancel)
		return unaryOf(short, client, "wait")
	case "unknown":
		return "", client.Invoke(ctx, "/shop.Bank/Pay", &text{}, new(text))
	}
	return unaryOf(ctx, client, what)
}

// load makes so many calls at once, again and again until it is told to end, and says how many there were.
func load(client *grpc.ClientConn, number int) (string, error) {
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var calls atomic.Int64
	ended := make(chan error)
	for caller := range number {
		go func() {
			// Larger than a window.
			asked := &text{Value: strings.Repeat(strconv.Itoa(caller%10), 200_000)}
			for stopped.Err() == nil {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				said := new(text)
				err := client.Invoke(ctx, "/shop.Cart/Unary", asked, said)
				cancel()
				if err == nil && said.Value != asked.Value {
					err = errors.New("another answer came")
				}
				if err != nil {
					ended <- err
					return
				}
				calls.Add(1)
			}
			ended <- nil
		}()
	}
	for range number {
		if err := <-ended; err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d calls", calls.Load()), nil
}

func unaryOf(ctx context.Context, client *grpc.ClientConn, asked string) (string, error) {
	said := new(text)
	if err := client.Invoke(ctx, "/shop.Cart/Unary", &text{Value: asked}, said); err != nil {
		return "", err
	}
	if len(said.Value) > 100 {
		return fmt.Sprintf("%d bytes", len(said.Value)), nil
	}
	return said.Value, nil
}

func open(ctx context.Context, client *grpc.ClientConn, what *grpc.StreamDesc, first *text, last bool) (grpc.ClientStream, error) {
	stream, err := client.NewStream(ctx, what, "/shop.Cart/"+what.StreamName)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(first); err != nil {
		return nil, err
	}
	if last {
		return stream, stream.CloseSend()
	}
	return stream, nil
}

func drain(stream grpc.ClientStream) (int, error) {
	read := 0
	for {
		if err := stream.RecvMsg(new(text)); err == io.EOF {
			return read, nil
		} else if err != nil {
			return read, err
		}
		read++
	}
}
